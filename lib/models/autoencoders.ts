/** The autoencoders that a recipe may name: one line each. */
export { convolutional } from "./convolutional.ts";
