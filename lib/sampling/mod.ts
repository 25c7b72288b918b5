/** The registry of solver methods: a new one is a file and a line here. `sampler()` in ode.ts runs them. */
export { euler } from "./euler.ts";
export { heun } from "./heun.ts";
