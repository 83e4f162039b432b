/** Slack as `emulate` has it, strict about scopes: `node slack-emulator.ts <port>`. */
import { createEmulator } from 'emulate';

await createEmulator({
  service: 'slack',
  port: Number(process.argv[2]),
  seed: {
    slack: {
      team: { name: 'Shop' },
      strict_scopes: true,
      users: [{ name: 'holdfast' }, { name: 'ada' }, { name: 'grace' }, { name: 'linus' }],
      channels: [{ name: 'incidents' }],
      tokens: [
        {
          token: 'xoxb-holdfast',
          user: 'holdfast',
          scopes: ['chat:write', 'im:write', 'im:history', 'channels:history'],
        },
        {
          token: 'xoxb-reader',
          user: 'holdfast',
          scopes: ['users:read', 'channels:read', 'im:read', 'im:write', 'im:history', 'channels:history'],
        },
        { token: 'xoxb-poor', user: 'holdfast', scopes: ['im:write', 'im:history'] },
      ],
    },
  },
});
