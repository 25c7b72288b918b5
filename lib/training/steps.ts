/** Optimizer steps that show a model at least `samples` samples: a last, partial batch is a whole step. */
export function stepsFor(samples: number, batch: number): number {
  return Math.ceil(samples / batch);
}
