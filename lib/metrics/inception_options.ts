import type { QuantiseMode } from "../data/quantise.ts";

/**
 * How images come to the side that a network takes; distances under different ones do not compare:
 * - `tf1`: bilinear between the pixels below and above `i · from / to`, as TensorFlow 1 did it and with it the original
 *   FID, ADM's evaluator, torch-fidelity and torchmetrics before 1.8;
 * - `halfPixel`: bilinear at `(i + ½) · from / to − ½` without antialiasing, as pytorch-fid;
 * - `pillowBicubic`: Pillow's antialiased bicubic on float channels, clipped to 0..255, as clean-fid.
 */
export const resizeModes = ["tf1", "halfPixel", "pillowBicubic"] as const;
export type ResizeMode = typeof resizeModes[number];

/**
 * What the network is fed for a grey level u of 0..255: (u − 128)/128 as the
 * original FID, ADM's evaluator, torch-fidelity and clean-fid do, or
 * u/127.5 − 1 as pytorch-fid does.
 */
export const conventions = ["torchFidelity", "pytorchFid"] as const;
export type Convention = typeof conventions[number];

/** How images reach the network; every choice changes the distances. */
export interface InceptionOptions {
  readonly resize: ResizeMode;
  /** `none`: not stored at grey levels at all. */
  readonly quantise: QuantiseMode | "none";
  readonly convention: Convention;
  /** Of the weight file, where it is not `fidWeights`. */
  readonly sha256?: string;
  /** Images a pass; no effect on results beyond rounding. */
  readonly batch?: number;
}

/** The choices of the original FID (Heusel et al., 2017) and of ADM's evaluator. */
export const inceptionDefaults = {
  resize: "tf1",
  quantise: "127.5x+128",
  convention: "torchFidelity",
} as const satisfies InceptionOptions;

/** The file that FID is defined by: pytorch-fid's and torch-fidelity's port of Google's network of 2015-12-05. */
export const fidWeights = {
  name: "pt_inception-2015-12-05-6726825d.pth",
  sha256: "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
} as const;
