import { AttributeKind, functionAttribute, typeAttribute } from "./attributes.ts";
import { isCompiled } from "./compiling.ts";
import { nativeEngine } from "./native.ts";
import { elementType, recordFunction } from "./recording.ts";
import { type Tensor, type Tensors, tf } from "./tf.ts";

/**
 * What `body` makes of `state` in `count` rounds. A recorded function holds
 * `body` once, however many rounds there are; elsewhere it runs round by round.
 * It has no gradient.
 *
 * @param count at least 1; an int32 scalar where one recording is to do for several
 * @param state tensors that keep their shapes from round to round; they stay the caller's
 * @param constants what all rounds read besides; no other tensor may be used
 * @param body gives the next state, in new tensors; `round` is an int32 scalar from 0
 */
export function repeat(
  count: number | Tensor,
  state: Tensors,
  constants: Tensors,
  body: (state: Tensors, constants: Tensors, round: Tensor) => Tensors,
): Tensors {
  return nativeEngine()?.binding.recorder
    ? recordLoop(count, state, constants, body)
    : runLoop(count, state, constants, body);
}

function runLoop(...[count, state, constants, body]: Parameters<typeof repeat>): Tensors {
  const rounds = typeof count === "number" ? count : count.dataSync()[0]!;
  let now = state;
  for (let round = 0; round < rounds; round++) {
    const next = tf.tidy(() => ({ ...body(now, constants, tf.scalar(round, "int32")) }));
    if (round > 0) tf.dispose(now);
    now = next;
  }
  return now;
}

function recordLoop(...[count, state, constants, body]: Parameters<typeof repeat>): Tensors {
  const native = nativeEngine()!, recorder = native.binding.recorder!, name = `${recorder.nameWithin()}_loop`;
  const round = tf.scalar(0, "int32");
  // A round's inputs are its outputs: what does not change is handed on.
  const end = typeof count === "number" ? {} : { end: count };
  const all = { ...prefixed("constant", constants), ...prefixed("state", state), round, ...end };
  recordFunction(native, `${name}_goes_on`, name, all, ({ round, end }) => ({
    goesOn: tf.less(round!, end ?? tf.scalar(count as number, "int32")),
  }));
  const { ordered } = recordFunction(native, `${name}_round`, name, all, (given) => {
    const next = body(unprefixed("state", given), unprefixed("constant", given), given.round!);
    return { ...given, ...prefixed("state", next), round: tf.add(given.round!, tf.scalar(1, "int32")) };
  });
  if (ordered) recorder.keepOrder();
  const inputs = Object.values(all);
  const attributes = [
    typeAttribute("T", inputs.map(elementType)),
    functionAttribute("cond", `${name}_goes_on`),
    functionAttribute("body", `${name}_round`),
    // As nodes of the function around it, so that a round can take over the memory of the one before.
    ...(isCompiled() ? [] : [{ name: "_lower_using_switch_merge", type: AttributeKind.bool, value: true }]),
  ];
  const results = native.backend.executeMultipleOutputs("StatelessWhile", attributes, inputs, inputs.length);
  return unprefixed("state", Object.fromEntries(Object.keys(all).map((key, i) => [key, results[i]!])));
}

const prefixed = (prefix: string, tensors: Tensors): Tensors =>
  Object.fromEntries(Object.entries(tensors).map(([key, tensor]) => [`${prefix}.${key}`, tensor]));
const unprefixed = (prefix: string, tensors: Tensors): Tensors =>
  Object.fromEntries(
    Object.entries(tensors).filter(([key]) => key.startsWith(`${prefix}.`))
      .map(([key, tensor]) => [key.slice(prefix.length + 1), tensor]),
  );
