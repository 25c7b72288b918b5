import { typeAttribute } from "./attributes.ts";
import { nativeEngine } from "./native.ts";
import { elementType } from "./recording.ts";
import { type Tensor, type Tensors, tf } from "./tf.ts";

/**
 * `body` as a function whose intermediate tensors are not kept for the
 * gradient: they are computed again from the inputs when the gradient is there
 * (Chen et al. 2016). The same numbers for less memory, and one more forward
 * pass of operations.
 *
 * @param body pure: it takes no tensor but those that it is given
 * @returns a function of the inputs that have a gradient, and of those that have none
 */
export function recomputed(
  body: (inputs: Tensors) => Tensor,
): (inputs: Tensors, constants?: Tensors) => Tensor {
  return (inputs, constants = {}) => {
    const names = Object.keys(inputs), all = [...names, ...Object.keys(constants)];
    const named = (tensors: readonly Tensor[]) => Object.fromEntries(all.map((name, i) => [name, tensors[i]!]));
    const run = tf.customGrad((...given) => {
      const tensors = given.slice(0, all.length) as unknown as Tensor[];
      const save = given[all.length] as unknown as (saved: Tensor[]) => void;
      save(tensors);
      return {
        value: body(named(tensors)),
        gradFunc: (dy: Tensor, saved: Tensor[]) => {
          const varying = saved.slice(0, names.length).map((x) => after(x, dy)), fixed = saved.slice(names.length);
          const gradient = tf.grads((...again) => body(named([...again, ...fixed])));
          return [...withOwnTape(() => gradient(varying, dy)), ...fixed.map((x) => tf.zerosLike(x))];
        },
      };
    });
    return run(...Object.values(inputs), ...Object.values(constants));
  };
}

/** Runs a gradient within a gradient, which would otherwise end the outer one's tape. */
function withOwnTape<Result>(gradient: () => Result): Result {
  const { state } = tf.engine(), tape = state.activeTape;
  try {
    return gradient();
  } finally {
    state.activeTape = tape;
  }
}

/**
 * `x`, but in a recorded function not before `other` is there: what is computed
 * from it waits, where it could begin with the forward pass and lie about, or be
 * taken for the same as there.
 */
function after(x: Tensor, other: Tensor): Tensor {
  const native = nativeEngine(), recorder = native?.binding.recorder;
  if (!native || !recorder) return x;
  const { backend } = native, [waitsFor] = backend.getInputTensorIds([other]);
  const type = typeAttribute("T", elementType(x));
  return recorder.waiting(waitsFor!, () => backend.executeSingleOutput("Identity", [type], [x]));
}
