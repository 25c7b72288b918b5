/** The velocity models that a recipe may name: one line each. */
export { sit } from "./sit.ts";
