/**
 * The registry of couplings: a member is `{ options, build }` (`CouplingKind`),
 * and a new one is a file and a line here. `kind: semidiscrete` in a recipe is
 * the export `semidiscrete`.
 */
export { independent } from "./independent.ts";
export { normalizingFlow } from "./normalizing_flow.ts";
export { semidiscrete } from "./semidiscrete.ts";
export type { Coupling, CouplingInputs, CouplingKind, Pairs, Teacher } from "./types.ts";
