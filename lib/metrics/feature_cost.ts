import { countWork, type Work } from "../engine/counting/mod.ts";
import { featureForward, featureParameters } from "./classifier.ts";
import { inceptionFeatures } from "./inception.ts";
import { convolutions, inceptionSide } from "./inception_layout.ts";

/** What the features of an image take, by the network of FID. */
export function inceptionWork(batch = 1): Promise<Work> {
  const parameters = Object.fromEntries(
    convolutions().flatMap(({ name, kernel, inputs, outputs }) => [
      [`${name}.filter`, { shape: [...kernel, inputs, outputs] }],
      [`${name}.bias`, { shape: [outputs] }],
    ]),
  );
  const images = { shape: [batch, inceptionSide, inceptionSide, 3] };
  return countWork(
    { images, ...parameters },
    ({ images, ...given }) => ({ features: inceptionFeatures(given, images!) }),
  );
}

/** The same by the classifier of a small data set. */
export function classifierWork(shape: readonly [number, number, number], classes: number, batch = 1): Promise<Work> {
  const specs = featureParameters(shape, classes);
  return countWork(
    { data: { shape: [batch, ...shape] }, ...Object.fromEntries(specs.map(({ name, shape }) => [name, { shape }])) },
    ({ data, ...given }) => ({ features: featureForward(given, data!).features }),
  );
}
