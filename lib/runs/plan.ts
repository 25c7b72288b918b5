import { hashFile, hashOf } from "../core/hash.ts";
import * as couplings from "../couplings/mod.ts";
import type { CouplingKind } from "../couplings/types.ts";
import { rowRecipes } from "../recipes/rows.ts";
import { type ResolvedRecipe, type RowRecipe, type RunOptions, type Stage as Kind, stages } from "../recipes/types.ts";
import { codeVersion } from "./code_version.ts";
import { planStage, type StagePlan } from "./stages.ts";
import { checkPretrained, pretrainedWeights } from "./teacher.ts";
import type { Splits } from "./workbench.ts";

/** The stages of one row. Rows with the same teacher or coupling share the stage. */
export interface RowPlan {
  readonly row: RowRecipe;
  /** Absent where the coupling has no use for one. */
  readonly teacher?: TeacherPlan;
  readonly coupling: StagePlan;
  readonly seeds: readonly {
    readonly seed: number;
    readonly student: StagePlan;
    readonly evaluations: readonly { readonly checkpoint: number; readonly plan: StagePlan }[];
  }[];
}

/** Where a row's teacher comes from. */
export interface TeacherPlan {
  /** Training it; absent for a committed one. */
  readonly training?: StagePlan;
  readonly report: StagePlan;
}

/** Looks up every stage of a recipe: what is there, what must run, and why. Computes nothing. */
export async function planRows(recipe: ResolvedRecipe, options: RunOptions, splits: Splits): Promise<RowPlan[]> {
  const training = await codeVersion("training"), measuring = await codeVersion("measuring");
  const data = { train: splits.train.digest, test: splits.test.digest };
  const forced = (kind: Kind) =>
    options.force === "all" || (options.force !== undefined && stages.indexOf(kind) >= stages.indexOf(options.force));
  // Engines round differently: what one has made, the other makes again. `auto` is settled before planning.
  const engine = options.engine;
  const features = await hashFile(`${recipe.features.pretrained}/features.safetensors`);
  const { batch: _, ...evaluation } = recipe.evaluation;
  const plans: RowPlan[] = [];
  for (const row of rowRecipes(recipe)) {
    const kind = couplings[row.coupling.kind] as CouplingKind;
    let teacher: TeacherPlan | undefined, teacherKey: string | undefined;
    if (kind.usesTeacher) {
      const { pretrained: _, ...trained } = row.teacher;
      const key = { ...trained, data: data.train, flips: row.flips, engine, code: training };
      const own = options.teacher === "train"
        ? await planStage({ name: `teacher ${row.name}`, key }, forced("teacher"))
        : undefined;
      if (!own) await checkPretrained(row.teacher, recipe.data, row.flips);
      teacherKey = own ? hashOf(key) : await hashFile(pretrainedWeights(row.teacher));
      const reported = {
        teacher: teacherKey,
        noiseStd: row.teacher.noiseStd,
        data,
        features,
        coupling: hashOf({ coupling: row.coupling, flips: row.flips }),
        samples: evaluation.samples,
        images: evaluation.images,
        engine,
        code: measuring,
      };
      const report = await planStage({ name: `teacher report ${row.name}`, key: reported }, forced("teacher"));
      teacher = { ...(own && { training: own }), report };
    }
    const couplingKey = {
      coupling: row.coupling,
      flips: row.flips,
      data: data.train,
      teacher: teacherKey ?? null,
      engine,
      code: training,
    };
    const coupling = await planStage({ name: `coupling ${row.name}`, key: couplingKey }, forced("coupling"));
    const seeds = [];
    for (const seed of recipe.seeds) {
      const studentKey = { ...couplingKey, student: row.student, seed, checkpoints: recipe.evaluation.checkpoints };
      const student = await planStage({ name: `student ${row.name} seed ${seed}`, key: studentKey }, forced("student"));
      const evaluations = [];
      for (const checkpoint of recipe.evaluation.checkpoints) {
        // Where only the first seed searches, the others depend on what it found.
        const searched = recipe.evaluation.guidanceSearch.seeds === "each" ? seed : recipe.seeds[0]!;
        const key = {
          student: hashOf(studentKey),
          searched: hashOf({ ...studentKey, seed: searched }),
          checkpoint,
          evaluation,
          data,
          features,
          seed,
          engine,
          code: measuring,
        };
        const name = `evaluation ${row.name} seed ${seed} at ${checkpoint}`;
        evaluations.push({ checkpoint, plan: await planStage({ name, key }, forced("evaluation")) });
      }
      seeds.push({ seed, student, evaluations });
    }
    plans.push({ row, ...(teacher && { teacher }), coupling, seeds });
  }
  return plans;
}

/** Every stage of some rows once, in the order in which they run. */
export function stagesOf(rows: readonly RowPlan[]): StagePlan[] {
  return rows.flatMap(({ teacher, coupling, seeds }) => [
    ...(teacher?.training ? [teacher.training] : []),
    coupling,
    ...(teacher ? [teacher.report] : []),
    ...seeds.flatMap(({ student, evaluations }) => [student, ...evaluations.map(({ plan }) => plan)]),
  ]);
}
