import { createRng } from "../core/rng.ts";
import { type Progress, withProgress } from "../core/terminal.ts";
import * as couplings from "../couplings/mod.ts";
import type { Coupling, CouplingKind } from "../couplings/types.ts";
import type { NormalizingFlow } from "../models/types.ts";
import type { RowPlan } from "./plan.ts";
import type { Run } from "./run.ts";

/** The coupling of a row; `flow` is its teacher. The caller disposes it. */
export async function openCoupling(
  { bench, signal }: Run,
  { row, coupling }: RowPlan,
  flow?: NormalizingFlow,
): Promise<Coupling> {
  const { kind, ...given } = row.coupling;
  const member = couplings[kind] as CouplingKind;
  const build = (onProgress: Progress["update"]) =>
    member.build({
      dataset: bench.train,
      ...(flow && { teacher: { flow, noiseStd: row.teacher.noiseStd } }),
      // Not of the seed: all students of a row learn from one coupling, as from one teacher.
      rng: createRng(0).fork("coupling"),
      flips: row.flips,
      cacheDir: coupling.folder,
      onProgress: (fraction, note) => onProgress(Math.floor(fraction * 100), note),
    }, member.options.parse(given));
  return await withProgress(`coupling ${row.name}`, 100, "%", build, signal);
}
