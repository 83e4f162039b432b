import type { Settings } from '../contracts/index.ts';
import { rightsOf, type Right } from '../rights.ts';
import type { ApiToken, Store } from './store.ts';

/** Who asks: a person who has signed in, or a machine with a token. */
export interface Principal {
  kind: 'person' | 'token';
  /** Of the person, or of the token: `token:<name>`. */
  name: string;
  /** Who made the token. */
  behind?: string;
  rights: ReadonlySet<Right>;
  /** Empty: every service. */
  services: readonly string[];
}

const ofToken = ({ name, by, scopes, services }: ApiToken): Principal => ({
  kind: 'token',
  name: `token:${name}`,
  behind: by,
  rights: new Set(scopes),
  services,
});

/** Whose secret this is. Roles are read anew each time: who has left the configuration is nobody. */
export function principalOf(secret: string, store: Store, settings: Settings): Principal | undefined {
  if (secret.startsWith('hft_')) {
    const token = store.token(secret);
    return token && ofToken(token);
  }
  const session = store.session(secret);
  const person = settings.people.find(({ name, email }) => name === session?.person && email === session.email);
  return person && { kind: 'person', name: person.name, rights: rightsOf(person, settings), services: [] };
}

/** Why not, else undefined. `service` is the one that the request is about. */
export function whyNot(principal: Principal, right: Right, service: string | undefined): string | undefined {
  if (!principal.rights.has(right))
    return right === 'decide' && principal.kind === 'token'
      ? 'a token never decides: that is for people'
      : `${principal.name} may not ${right}`;
  if (service !== undefined && principal.services.length > 0 && !principal.services.includes(service))
    return `${principal.name} is not for ${service}`;
  return undefined;
}
