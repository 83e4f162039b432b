import { Settings } from '../../src/contracts/index.ts';

/** The shop in production, its errors in the project `shop`; in staging without an error tracker. */
export const settings = Settings.parse({
  people: [{ name: 'responder', roles: ['responder', 'approver'] }],
  ladder: [{ level: 'team', people: ['responder'], wait: '5 minutes' }],
  approval: { low: { roles: ['responder'] }, medium: { roles: ['approver'] }, high: { roles: ['approver'] } },
  services: [
    {
      name: 'shop',
      environments: {
        production: { mode: 'act', url: 'http://127.0.0.1:4180', errors: { project: 'shop' } },
        staging: { url: 'http://127.0.0.1:4181' },
      },
    },
  ],
});
