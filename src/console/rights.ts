import { givenTo, type Person, type Settings } from '../contracts/index.ts';
import type { ApiToken, Store } from './store.ts';

/** What can be allowed. Every route asks for one of these, or is for anyone. */
export const RIGHTS = ['read', 'respond', 'decide', 'deploy', 'administer'] as const;
export type Right = (typeof RIGHTS)[number];

type Role = Person['roles'][number];

/** Deciding is not here: the approval rules of the configuration name its roles. */
const OF_ROLE: Record<Role, readonly Right[]> = {
  viewer: ['read'],
  responder: ['read', 'respond', 'deploy'],
  approver: ['read', 'respond', 'deploy'],
  admin: ['read', 'respond', 'deploy', 'administer'],
};

/** Who asks: a person who has signed in, or a machine with a token. */
export interface Principal {
  kind: 'person' | 'token';
  /** Of the person, or of the token: `token:<name>`. */
  name: string;
  rights: ReadonlySet<Right>;
  /** Empty: every service. */
  services: readonly string[];
}

/** `deciding` are the roles that a person decides with: of others too, who have given it to this one. */
export function rightsOf(roles: readonly Role[], settings: Settings, deciding = roles): Set<Right> {
  const environments = settings.services.flatMap((service) => Object.values(service.environments));
  const rules = [settings, ...environments].flatMap(({ approval = {} }) => Object.values(approval));
  const named = rules.flatMap((rule) => [...(rule?.roles ?? []), ...(rule?.breakGlass?.roles ?? [])]);
  const decides = deciding.some((role) => named.includes(role));
  return new Set([...roles.flatMap((role) => OF_ROLE[role]), ...(decides ? (['decide'] as const) : [])]);
}

const ofToken = ({ name, scopes, services }: ApiToken): Principal => ({
  kind: 'token',
  name: `token:${name}`,
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
  if (person === undefined) return undefined;
  const deciding = [person, ...givenTo(person.name, settings.people, Date.now())].flatMap(({ roles }) => roles);
  return { kind: 'person', name: person.name, rights: rightsOf(person.roles, settings, deciding), services: [] };
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
