import { html } from 'hono/html';
import { outside, type Html } from './layout.ts';

const back = (to: string): Html => html`<input type="hidden" name="to" value="${to}" />`;

/** Sign in with password, or have a code and a link sent. */
export const signInPage = (to: string, told?: string): Html =>
  outside(
    'Sign in to Holdfast',
    html`<form method="post" action="/sign-in">
      ${back(to)}
      <label for="email">E-mail</label>
      <input id="email" name="email" type="email" autocomplete="username" required />
      <label for="password">Password</label>
      <input id="password" name="password" type="password" autocomplete="current-password" />
      <div class="row">
        <button class="approve">Sign in</button>
        <button formaction="/sign-in/send">Send me a code</button>
      </div>
    </form>`,
    told,
  );

export const codePage = (to: string, email: string, told?: string): Html =>
  outside(
    'Your code',
    html`<p>If ${email} has an account, a code and a link are on their way to it.</p>
      <form method="post" action="/sign-in/code">
        ${back(to)}<input type="hidden" name="email" value="${email}" />
        <label for="code">Code</label>
        <input id="code" name="code" inputmode="numeric" autocomplete="one-time-code" maxlength="10" required />
        <div class="row"><button class="approve">Sign in</button></div>
      </form>`,
    told,
  );

/** Opening a link changes nothing: programs follow links too. */
export const linkPage = (tokenHash: string): Html =>
  outside(
    'Sign in to Holdfast',
    html`<form method="post" action="/sign-in/link">
      <input type="hidden" name="token_hash" value="${tokenHash}" />
      <div class="row"><button class="approve">Sign in</button></div>
    </form>`,
  );
