import { hashFile, hashOf } from "../core/hash.ts";
import { Problem } from "../core/problem.ts";
import type { StoredTensor } from "../training/safetensors.ts";
import { type ExpectedTensor, readTensors, requireTensors } from "../training/tensor_file.ts";
import { type Convolution, convolutions } from "./inception_layout.ts";
import { fidWeights } from "./inception_options.ts";

/** For the person who lacks the file. */
export const whereToGetInception = `FID's own is ${fidWeights.name} (96 MB), which pytorch-fid publishes under ` +
  `https://github.com/mseitzer/pytorch-fid/releases/tag/fid_weights and keeps, once used, in ~/.cache/torch/hub/checkpoints`;

/** The weights as the network runs them. */
export interface InceptionWeights {
  readonly layers: readonly InceptionLayer[];
  /** SHA-256 over the values: the same for the same weights in any file format. */
  readonly digest: string;
}

/** A convolution with its batch normalisation folded in. */
export interface InceptionLayer {
  readonly name: string;
  readonly filterShape: readonly [height: number, width: number, inputs: number, outputs: number];
  readonly filter: Float32Array;
  /** `[outputs]`. */
  readonly bias: Float32Array;
}

/**
 * Reads the weights of the Inception network of FID from the `.pth` file of
 * pytorch-fid or torch-fidelity (they are one and the same), or from tensors of
 * the same names in safetensors.
 *
 * @param sha256 of the file, where it is not `fidWeights`, such as of a safetensors copy
 * @throws {Problem} one sentence: the file is missing (exit code 2); cut short or damaged; which tensor is missing,
 * extra or of another shape; or which digest it has and should have (74)
 */
export async function readInceptionWeights(
  path: string,
  sha256: string = fidWeights.sha256,
): Promise<InceptionWeights> {
  try {
    const tensors = await readTensors(path);
    requireTensors(tensors, inceptionTensors(), { path, what: "the Inception network of FID", ignored: isCounter });
    const found = await hashFile(path);
    if (found === sha256.toLowerCase()) return foldTensors(tensors);
    throw new Problem(
      `Cannot use ${path} as weights of the Inception network of FID: its SHA-256 is ${found} instead of ${sha256}; ` +
        "to use other weights on purpose, name theirs in features.sha256",
      { exitCode: 74 },
    );
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const { message, exitCode } = error;
    throw new Problem(`${message}; ${whereToGetInception}`, { cause: error, exitCode });
  }
}

/** Every tensor of the file: names and shapes of torchvision's module, `[out, in, height, width]` for filters. */
export function inceptionTensors(): ExpectedTensor[] {
  return [
    ...convolutions().flatMap(tensorsOf),
    // The classifier on top, which features do without.
    { name: "fc.weight", shape: [1008, 2048], optional: true },
    { name: "fc.bias", shape: [1008], optional: true },
  ];
}

/** Those of one convolution: its filter, then γ, β, μ and σ² of its batch normalisation. */
function tensorsOf({ name, inputs, outputs, kernel }: Convolution): ExpectedTensor[] {
  const ofBatches = ["weight", "bias", "running_mean", "running_var"];
  return [
    { name: `${name}.conv.weight`, shape: [outputs, inputs, ...kernel] },
    ...ofBatches.map((part) => ({ name: `${name}.bn.${part}`, shape: [outputs] })),
  ];
}

/** Batches that normalisation saw in training, which PyTorch may store. */
export const isCounter = (name: string) => name.endsWith(".num_batches_tracked");

/** Folds batch normalisation into the convolutions before it. */
export function foldTensors(tensors: ReadonlyMap<string, StoredTensor>): InceptionWeights {
  const digests: string[] = [];
  const layers = convolutions().map((layer) => {
    const values = tensorsOf(layer).map(({ name }) => tensors.get(name)!.data);
    digests.push(...values.map((data) => hashOf(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))));
    return fold(layer, values);
  });
  return { layers, digest: hashOf(digests) };
}

const epsilon = 0.001;

/** γ (w·x − μ)/√(σ² + ε) + β as one filter, `[height, width, in, out]`, and one bias. */
function fold({ name, inputs, outputs, kernel }: Convolution, parts: readonly Float32Array[]): InceptionLayer {
  const [weight, gamma, beta, mean, variance] = parts as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const positions = kernel[0] * kernel[1];
  const filter = new Float32Array(weight.length), bias = new Float32Array(outputs);
  for (let out = 0; out < outputs; out++) {
    const gain = gamma[out]! / Math.sqrt(variance[out]! + epsilon);
    bias[out] = beta[out]! - mean[out]! * gain;
    for (let i = 0; i < inputs; i++) {
      for (let at = 0; at < positions; at++) {
        filter[(at * inputs + i) * outputs + out] = gain * weight[(out * inputs + i) * positions + at]!;
      }
    }
  }
  return { name, filterShape: [...kernel, inputs, outputs], filter, bias };
}
