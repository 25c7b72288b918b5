/**
 * The Inception network of 2015-12-05 (Szegedy et al., 2016) that FID is
 * defined by (Heusel et al., 2017), as data: `inception.ts` runs it, the weight
 * loader reads off it which tensors a file must hold. Names are those of
 * torchvision's module, which pytorch-fid and torch-fidelity keep.
 */

/** A convolution with batch normalisation and ReLU; its padding, where it has any, keeps height and width. */
export interface Convolution {
  readonly kind: "convolution";
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
  /** Height and width. */
  readonly kernel: readonly [number, number];
  readonly stride: 1 | 2;
  readonly padding: "same" | "valid";
}

/** A 3 × 3 pool: of stride 2 without padding, or of stride 1 where padding does not count, in the mean neither. */
export interface Pool {
  readonly kind: "maxPool" | "meanPool";
  readonly stride: 1 | 2;
}

/** Branches on the same input, joined over channels in this order. */
export interface Fork {
  readonly kind: "fork";
  readonly branches: readonly Chain[];
}

export type Step = Convolution | Pool | Fork;
/** Steps one after another. */
export type Chain = readonly Step[];

/** Side of the square images that the network was trained on. */
export const inceptionSide = 299;
/** Channels after the last step, averaged over positions: the features. */
export const inceptionWidth = 2048;

/** Adds one step to a chain that has `inputs` channels there. */
type Part = (inputs: number, scope: string) => Step;

/** A square convolution of odd side, or one row or column: `[1, 7]`, `[7, 1]`. */
function conv(name: string, outputs: number, side: number | readonly [number, number], half = false): Part {
  const kernel = typeof side === "number" ? [side, side] as const : side;
  return (inputs, scope) => ({
    kind: "convolution",
    name: `${scope}${name}`,
    inputs,
    outputs,
    kernel,
    stride: half ? 2 : 1,
    padding: half ? "valid" : "same",
  });
}

const valid = (part: Part): Part => (inputs, scope) => ({ ...part(inputs, scope) as Convolution, padding: "valid" });
const maxPool = (stride: 1 | 2): Part => () => ({ kind: "maxPool", stride });
const meanPool: Part = () => ({ kind: "meanPool", stride: 1 });
const fork = (...branches: readonly Part[][]): Part => (inputs, scope) => ({
  kind: "fork",
  branches: branches.map((parts) => chain(inputs, scope, parts)),
});
/** A named block: a fork whose convolutions carry its name. */
const block = (name: string, ...branches: readonly Part[][]): Part => (inputs) => fork(...branches)(inputs, `${name}.`);

function chain(inputs: number, scope: string, parts: readonly Part[]): Chain {
  return parts.map((part) => {
    const step = part(inputs, scope);
    inputs = outputsOf(step, inputs);
    return step;
  });
}

function outputsOf(step: Step, inputs: number): number {
  if (step.kind === "convolution") return step.outputs;
  if (step.kind !== "fork") return inputs;
  return step.branches.reduce((sum, branch) => sum + branch.reduce((n, step) => outputsOf(step, n), inputs), 0);
}

const blockA = (name: string, pooled: number): Part =>
  block(
    name,
    [conv("branch1x1", 64, 1)],
    [conv("branch5x5_1", 48, 1), conv("branch5x5_2", 64, 5)],
    [conv("branch3x3dbl_1", 64, 1), conv("branch3x3dbl_2", 96, 3), conv("branch3x3dbl_3", 96, 3)],
    [meanPool, conv("branch_pool", pooled, 1)],
  );

const blockC = (name: string, width: number): Part =>
  block(
    name,
    [conv("branch1x1", 192, 1)],
    [conv("branch7x7_1", width, 1), conv("branch7x7_2", width, [1, 7]), conv("branch7x7_3", 192, [7, 1])],
    [
      conv("branch7x7dbl_1", width, 1),
      conv("branch7x7dbl_2", width, [7, 1]),
      conv("branch7x7dbl_3", width, [1, 7]),
      conv("branch7x7dbl_4", width, [7, 1]),
      conv("branch7x7dbl_5", 192, [1, 7]),
    ],
    [meanPool, conv("branch_pool", 192, 1)],
  );

const cross = (name: string): Part => fork([conv(`${name}a`, 384, [1, 3])], [conv(`${name}b`, 384, [3, 1])]);

const blockE = (name: string, pool: Part): Part =>
  block(
    name,
    [conv("branch1x1", 320, 1)],
    [conv("branch3x3_1", 384, 1), cross("branch3x3_2")],
    [conv("branch3x3dbl_1", 448, 1), conv("branch3x3dbl_2", 384, 3), cross("branch3x3dbl_3")],
    [pool, conv("branch_pool", 192, 1)],
  );

/** From images `[batch, 299, 299, 3]` to `[batch, 8, 8, 2048]`. */
export const inceptionLayout: Chain = chain(3, "", [
  conv("Conv2d_1a_3x3", 32, 3, true),
  valid(conv("Conv2d_2a_3x3", 32, 3)),
  conv("Conv2d_2b_3x3", 64, 3),
  maxPool(2),
  conv("Conv2d_3b_1x1", 80, 1),
  valid(conv("Conv2d_4a_3x3", 192, 3)),
  maxPool(2),
  blockA("Mixed_5b", 32),
  blockA("Mixed_5c", 64),
  blockA("Mixed_5d", 64),
  block(
    "Mixed_6a",
    [conv("branch3x3", 384, 3, true)],
    [conv("branch3x3dbl_1", 64, 1), conv("branch3x3dbl_2", 96, 3), conv("branch3x3dbl_3", 96, 3, true)],
    [maxPool(2)],
  ),
  blockC("Mixed_6b", 128),
  blockC("Mixed_6c", 160),
  blockC("Mixed_6d", 160),
  blockC("Mixed_6e", 192),
  block(
    "Mixed_7a",
    [conv("branch3x3_1", 192, 1), conv("branch3x3_2", 320, 3, true)],
    [
      conv("branch7x7x3_1", 192, 1),
      conv("branch7x7x3_2", 192, [1, 7]),
      conv("branch7x7x3_3", 192, [7, 1]),
      conv("branch7x7x3_4", 192, 3, true),
    ],
    [maxPool(2)],
  ),
  blockE("Mixed_7b", meanPool),
  // The network that FID is defined by takes the largest value here where the paper takes the mean.
  blockE("Mixed_7c", maxPool(1)),
]);

/** All convolutions, in the order in which they run. */
export function convolutions(steps: Chain = inceptionLayout): Convolution[] {
  return steps.flatMap((step) => {
    if (step.kind === "convolution") return [step];
    return step.kind === "fork" ? step.branches.flatMap((branch) => convolutions(branch)) : [];
  });
}
