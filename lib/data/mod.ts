/**
 * The registry of datasets: a member is `{ options, load }` (`DatasetKind`),
 * and a new one is a file and a line here. `kind: mnist` in a recipe is the
 * export `mnist`.
 */
export { fashionMnist } from "./fashion_mnist.ts";
export { imageNet } from "./imagenet.ts";
export { mnist } from "./mnist.ts";
