/** From where on a reading is bad, by the policy; a run whose policy is older than a limit has its default. */
import { Limits, type Policy } from '../contracts/index.ts';

export type Limited = Pick<Policy, 'limits'>;

export const limitsOf = ({ limits = {} }: Limited): Limits => Limits.parse(limits);
