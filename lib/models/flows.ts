/** The normalizing flows that a recipe may name: one line each. */
export { tarflow } from "./tarflow.ts";
