import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createServer } from 'node:tls';

/** A certificate authority in a folder, with a server's certificate for `temporal` and 127.0.0.1 and a client's. */
export function makeCertificates(folder: string) {
  const at = (name: string): string => join(folder, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const ecKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc'];
  openssl('req', '-x509', ...ecKey, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=test', '-days', '2');
  writeFileSync(at('san'), 'subjectAltName=DNS:temporal,IP:127.0.0.1');
  for (const name of ['server', 'client']) {
    openssl('req', ...ecKey, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
    const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'san'];
    openssl('x509', '-req', '-in', `${name}.csr`, '-out', `${name}.pem`, ...signed);
  }
  return {
    authority: at('ca.pem'),
    server: { cert: at('server.pem'), key: at('server.key') },
    client: { cert: at('client.pem'), key: at('client.key') },
  };
}

/** Temporal behind TLS that asks for a client's certificate. */
export async function behindMutualTls(
  address: string,
  of: { authority: string; server: { cert: string; key: string } },
) {
  const [host, port] = address.split(':');
  const { authority, server } = of;
  const [ca, cert, key] = [authority, server.cert, server.key].map((file) => readFileSync(file));
  const proxy = createServer({ ca, cert, key, requestCert: true, rejectUnauthorized: true, ALPNProtocols: ['h2'] });
  proxy.on('secureConnection', (inbound) => {
    const outbound = connect(Number(port), host);
    inbound.pipe(outbound).pipe(inbound);
    for (const [one, other] of [
      [inbound, outbound],
      [outbound, inbound],
    ] as const)
      one.on('error', () => other.destroy());
  });
  await new Promise<void>((resolve) => void proxy.listen(0, '127.0.0.1', resolve));
  return { address: `127.0.0.1:${(proxy.address() as AddressInfo).port}`, close: () => void proxy.close() };
}
