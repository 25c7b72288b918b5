/** The models whose published weights can be converted: one line each, by the name that a recipe gives the model. */
export { autoencoderKlReference as autoencoderKl } from "./reference_autoencoder_kl.ts";
export { sitReference as sit } from "./reference_sit.ts";
export { tarflowReference as tarflow } from "./reference_tarflow.ts";
