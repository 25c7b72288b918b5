import * as z from "zod";
import type { Rng } from "../core/rng.ts";
import { tf } from "../engine/mod.ts";
import { drawAssigned, drawLabels, type PlacedTransport } from "./assigned_draw.ts";
import { drawsFor } from "./chi_squared.ts";
import { dimensionOf, imageTensor, labelTensor } from "./data_draw.ts";
import { type Features, noiseRows } from "./features.ts";
import { type Fitted, keep } from "./kept.ts";
import { measureMasses, type NoiseSource } from "./masses.ts";
import { chunkSizeFor, loadPoints, placePotential, type PointSet } from "./point_set.ts";
import { fitPotentials } from "./potential.ts";
import type { Coupling, CouplingInputs, CouplingKind } from "./types.ts";

const options = z.strictObject({
  chiSquared: z.number().positive().default(0.05)
    .describe("Fit until the masses' χ² distance from uniform, on fresh noise, is at most this"),
  labelCost: z.union([z.literal("infinite"), z.number().nonnegative()]).default("infinite")
    .describe("β, the cost of pairing noise of one label with data of another: infinite is one problem per class"),
  batchSize: z.int().positive().default(512).describe("Noise samples a step of the fit"),
  maxDrawsPerPoint: z.number().positive().default(200)
    .describe("Give up the fit after so many noise samples per image"),
});
type Options = z.output<typeof options>;

/** One transport problem: the noise of one label or of all, and the images it may be sent to. */
interface TransportProblem {
  /** `[size]`: the dataset's row of each point. */
  readonly members: Int32Array;
  readonly points: PointSet;
  readonly label: number | undefined;
}

/**
 * SD-FM's coupling (arXiv 2509.25519; the paper's §2.1.1 and §4): semidiscrete
 * optimal transport of N(0, I) to the dataset under −⟨noise, data⟩, that is
 * squared distance, as the hard assignment argmax_j ⟨x, y_j⟩ + g_j. Noise gets a
 * label from the dataset's frequencies; at the default β = ∞ each class is a
 * problem of its own and the label is kept, at a finite β a mismatch costs β
 * and the student sees the datum's label, and β = 0 ignores labels.
 *
 * With flips the target holds every image and its mirror image, each of half
 * the weight: the same law as an image flipped by a coin, and the assignment
 * may tell them apart. The mirror symmetry of N(0, I) gives both one potential.
 * That is of pixels: a mirrored image's latents are not its latents mirrored,
 * so that recipes with flips and an autoencoder are refused.
 *
 * Facts, from a last check on fresh noise: `chiSquared` (unbiased), `neverHit`
 * (the share of images not hit), with `drawsPerPoint` and `neverHitByChance`
 * = E exp(−draws) beside it; `transportCost` (mean of −⟨noise, data − mean⟩, at a
 * finite β with β·1[labels differ]), `labelMismatch`, `iterations` and `converged` (1 or 0). Memory: 4 bytes a
 * value for the whole dataset, and as much again on the embedded engine.
 */
export const semidiscrete: CouplingKind<typeof options> = {
  options,
  async build(inputs, options) {
    const { dataset } = inputs;
    const features = featuresOf(inputs, options);
    const problems = await problemsOf(inputs, options, features);
    const { vectors, facts } = await keep(
      inputs.cacheDir,
      "potential",
      { version: 2, data: dataset.digest, flips: inputs.flips, options, seed: [...inputs.rng.bits(4)] },
      () => fit(inputs, options, features, problems),
    );
    const transports = place(problems, vectors);
    const sampleEach = async (size: number, rngs: readonly Rng[]) => {
      const { noise, index, mirrored } = await drawAssigned(dataset, features, transports, size, rngs);
      const images = await Promise.all(rngs.map((_, batch) => {
        const [start, end] = [batch * size, (batch + 1) * size];
        return dataset.gather(index.slice(start, end), inputs.flips ? mirrored.slice(start, end) : undefined);
      }));
      return images.map(({ data, labels }, batch) => ({
        noise: imageTensor(noise.slice(batch * data.length, (batch + 1) * data.length), dataset),
        data: imageTensor(data, dataset),
        labels: labelTensor(labels),
        index: index.slice(batch * size, (batch + 1) * size),
      }));
    };
    return {
      facts,
      sampleEach,
      sample: async (size, rng) => (await sampleEach(size, [rng]))[0]!,
      dispose() {
        for (const { points, potential } of transports) {
          points.dispose();
          tf.dispose([...potential]);
        }
      },
    } satisfies Coupling;
  },
};

function place(problems: readonly TransportProblem[], potentials: readonly Float32Array[]): PlacedTransport[] {
  return problems.map((problem, p) => ({ ...problem, potential: placePotential(problem.points, potentials[p]!) }));
}

function featuresOf({ dataset, flips }: CouplingInputs, { labelCost }: Options): Features {
  return {
    dimension: dimensionOf(dataset.shape),
    mirror: flips ? dataset.shape : undefined,
    label: labelCost === "infinite" || labelCost === 0 ? undefined : { classes: dataset.classes, cost: labelCost },
  };
}

/** One problem per class that has images, or a single one. */
async function problemsOf(
  { dataset }: CouplingInputs,
  { labelCost }: Options,
  features: Features,
): Promise<TransportProblem[]> {
  const everyRow = Int32Array.from({ length: dataset.size }, (_, row) => row);
  const labels = labelCost === "infinite" ? [...new Set(dataset.labels)].sort((a, b) => a - b) : [undefined];
  const groups = labels.map((label) => ({
    label,
    members: label === undefined ? everyRow : everyRow.filter((row) => dataset.labels[row] === label),
  }));
  // One chunk size for all classes, so that the engine records few shapes.
  const chunkSize = chunkSizeFor(Math.max(...groups.map(({ members }) => members.length)));
  const problems: TransportProblem[] = [];
  for (const { label, members } of groups) {
    const source = {
      size: members.length,
      labels: members.map((row) => dataset.labels[row]!),
      rows: async (start: number, end: number) => (await dataset.gather(members.subarray(start, end))).data,
    };
    problems.push({ label, members, points: await loadPoints(source, features, chunkSize) });
  }
  return problems;
}

async function fit(
  inputs: CouplingInputs,
  options: Options,
  features: Features,
  problems: readonly TransportProblem[],
): Promise<Fitted> {
  const { dataset, rng, onProgress } = inputs;
  const source: NoiseSource = (count, key) =>
    noiseRows(features, key.fork("noise").normal(count * features.dimension), drawLabels(dataset, count, key));
  const sets = problems.map(({ points }) => points);
  const fits = await fitPotentials(sets, source, options, rng.fork("fit"), onProgress);
  const transports = fits.map(({ potential }, p) => ({ ...problems[p]!, potential }));
  const largest = Math.max(...sets.map(({ size }) => size));
  const draws = Math.max(2 * largest, drawsFor(options.chiSquared, largest));
  const masses = await measureMasses(transports, source, draws, rng.fork("report"));
  // Classes weigh as much as they have images: the whole is a measure on the dataset with weights 1/N.
  const mean = (value: (p: number) => number) =>
    sets.reduce((sum, { size }, p) => sum + size / dataset.size * value(p), 0);
  const facts = {
    chiSquared: mean((p) => masses[p]!.chiSquared),
    neverHit: mean((p) => masses[p]!.neverHit / sets[p]!.size),
    neverHitByChance: mean((p) => Math.exp(-masses[p]!.draws / sets[p]!.size)),
    drawsPerPoint: masses.reduce((sum, { draws }) => sum + draws, 0) / dataset.size,
    // Scores have −β·1[same label] where the cost has β·1[labels differ].
    transportCost: mean((p) => masses[p]!.cost) + (features.label?.cost ?? 0),
    labelMismatch: await measureMismatch(inputs, features, place(problems, fits.map(({ potential }) => potential))),
    iterations: Math.max(...fits.map(({ iterations }) => iterations)),
    converged: fits.every(({ converged }) => converged) ? 1 : 0,
  };
  if (facts.converged === 0) {
    onProgress?.(
      1,
      `warning: the potential stopped at χ² ${
        facts.chiSquared.toFixed(4)
      }, above the ${options.chiSquared} asked for: ` +
        "raise maxDrawsPerPoint, or look for images that occur twice",
    );
  }
  return { vectors: fits.map(({ potential }) => potential), facts };
}

/** The share of pairs whose noise and datum have different labels, over 4096 draws; takes over the potentials. */
async function measureMismatch(
  { dataset, rng }: CouplingInputs,
  features: Features,
  transports: readonly PlacedTransport[],
): Promise<number> {
  const { labels, index } = await drawAssigned(dataset, features, transports, 4096, [rng.fork("mismatch")]);
  for (const { potential } of transports) tf.dispose([...potential]);
  return labels.reduce((count, label, i) => count + (dataset.labels[index[i]!] === label ? 0 : 1), 0) / labels.length;
}
