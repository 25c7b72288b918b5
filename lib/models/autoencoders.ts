/** The autoencoders that a recipe may name: one line each. */
export { autoencoderKl } from "./autoencoder_kl.ts";
export { convolutional } from "./convolutional.ts";
