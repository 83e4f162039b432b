import { givenTo, type Person, type Settings } from './contracts/index.ts';

/** What can be allowed. Every route and every command asks for one of these, or says why it asks for none. */
export type Right = 'read' | 'respond' | 'decide' | 'deploy' | 'administer';

/** Deciding is not here: the approval rules of the configuration name its roles. */
const OF_ROLE: Record<Person['roles'][number], readonly Right[]> = {
  viewer: ['read'],
  responder: ['read', 'respond', 'deploy'],
  approver: ['read', 'respond', 'deploy'],
  admin: ['read', 'respond', 'deploy', 'administer'],
};

/** Of a person, by its roles; it decides with the roles of those, too, who have given it theirs. */
export function rightsOf(person: Person, settings: Settings): Set<Right> {
  const environments = settings.services.flatMap((service) => Object.values(service.environments));
  const rules = [settings, ...environments].flatMap(({ approval = {} }) => Object.values(approval));
  const named = rules.flatMap((rule) => [...(rule?.roles ?? []), ...(rule?.breakGlass?.roles ?? [])]);
  const deciding = [person, ...givenTo(person.name, settings.people, Date.now())].flatMap(({ roles }) => roles);
  const decides = deciding.some((role) => named.includes(role));
  return new Set([...person.roles.flatMap((role) => OF_ROLE[role]), ...(decides ? (['decide'] as const) : [])]);
}
