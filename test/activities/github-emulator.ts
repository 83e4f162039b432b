/** GitHub as `emulate` has it, with one repository: `node github-emulator.ts <port>`. */
import { createEmulator } from 'emulate';

await createEmulator({
  service: 'github',
  port: Number(process.argv[2]),
  seed: {
    tokens: { tok: { login: 'ada', scopes: ['repo', 'workflow'] } },
    github: {
      users: [{ login: 'ada', name: 'Ada' }],
      repos: [{ owner: 'ada', name: 'shop', auto_init: true, default_branch: 'main' }],
    },
  },
});
