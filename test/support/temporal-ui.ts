import { existsSync } from 'node:fs';
import { chromium, type Page } from 'playwright-core';

/** Debian's Chromium, or Chrome where that is what there is. */
export const BROWSER = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);

/** How a headless browser is started; as root it needs to be without its sandbox. */
export const LAUNCH = {
  ...(BROWSER !== undefined && { executablePath: BROWSER }),
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--disable-background-networking',
    '--disable-component-update',
  ],
};

/** A page of a headless browser of its own; `close` ends it. */
export async function openPage(url: string): Promise<{ page: Page; close: () => Promise<void> }> {
  if (BROWSER === undefined) throw new Error('there is no Chromium: apt-get install chromium');
  const browser = await chromium.launch(LAUNCH);
  const page = await browser.newPage({ viewport: { width: 1400, height: 1500 } });
  await page.goto(url);
  return { page, close: () => browser.close() };
}

/** Send a signal as a person does it in the Temporal UI, on the page of a workflow. */
export async function sendSignal(page: Page, signal: string, input: object): Promise<void> {
  await page.reload();
  await page.getByRole('button', { name: 'More Actions' }).locator('visible=true').first().click();
  await page.getByText('Send a Signal').locator('visible=true').first().click();
  const dialog = page.locator('dialog[open], [role=dialog]:visible').last();
  await dialog.getByTestId('signal-select-button').click();
  await dialog.locator('li[role=option]', { has: page.getByText(signal, { exact: true }) }).click();
  await dialog.locator('.cm-content').click();
  await page.keyboard.press('Control+A'); // the editor keeps what was sent before
  await page.keyboard.insertText(JSON.stringify(input, null, 2)); // as the editor lays it out, else the button moves under the click
  await dialog.getByRole('button', { name: 'Submit' }).click();
}
