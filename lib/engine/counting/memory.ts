/** A piece of memory: two tensors have the same where one is the other under another shape. */
export type Buffer = object;

/** One operation: what it computed and what it did to memory. */
export interface Step {
  readonly flops: number;
  readonly inputs: readonly Buffer[];
  readonly outputs: readonly Buffer[];
  readonly inPlace: boolean;
}

/** Everything that a function did, in order. */
export interface Usage {
  readonly bytes: ReadonlyMap<Buffer, number>;
  readonly steps: readonly Step[];
  /** There from the beginning to the end: what the caller passed in, and numbers in the code. */
  readonly lasting: ReadonlySet<Buffer>;
  readonly results: ReadonlySet<Buffer>;
}

/** The operations that a result depends on, in order: a recorded function leaves the others out. */
export function neededSteps({ steps, results }: Pick<Usage, "steps" | "results">): Step[] {
  const wanted = new Set<Buffer>(results), needed: Step[] = [];
  for (const step of steps.toReversed()) {
    if (!step.outputs.some((output) => wanted.has(output))) continue;
    needed.push(step);
    step.inputs.forEach((input) => wanted.add(input));
  }
  return needed.reverse();
}

/**
 * The most bytes that are in use at once when the needed operations run in this
 * order, each result is dropped after its last use, and an operation that may
 * works in place: what TensorFlow does with a recorded function. What kernels
 * take for themselves is not in it.
 */
export function peakBytes(usage: Usage): number {
  const { bytes, lasting, results } = usage, needed = neededSteps(usage);
  const lastUse = new Map<Buffer, number>();
  needed.forEach(({ inputs }, at) => inputs.forEach((buffer) => lastUse.set(buffer, at)));
  const sizeOf = (buffer: Buffer) => bytes.get(buffer)!;
  const stays = (buffer: Buffer) => lasting.has(buffer) || results.has(buffer);
  let live = [...lasting].reduce((sum, buffer) => sum + sizeOf(buffer), 0), peak = live;
  const born = new Set<Buffer>(lasting);
  needed.forEach(({ inputs, outputs, inPlace }, at) => {
    const dying = new Set(inputs.filter((buffer) => lastUse.get(buffer) === at && !stays(buffer)));
    for (const output of outputs) {
      if (born.has(output)) continue;
      born.add(output);
      const taken = inPlace && [...dying].find((buffer) => sizeOf(buffer) === sizeOf(output));
      if (taken) dying.delete(taken);
      else live += sizeOf(output);
    }
    peak = Math.max(peak, live);
    for (const buffer of dying) if (!outputs.includes(buffer)) live -= sizeOf(buffer);
    for (const output of new Set(outputs)) if (!lastUse.has(output) && !stays(output)) live -= sizeOf(output);
  });
  return peak;
}
