import type { Mapping } from "../recipes/mapping.ts";
import type { ResolvedRecipe, RunOptions, TrainingRecipe } from "../recipes/types.ts";

/**
 * A recipe cut down for a fast look (`--limit`): the same stages on at most
 * `limit` samples each. A committed teacher stays what it is.
 */
export function limitRecipe(
  recipe: ResolvedRecipe,
  limit: number | undefined,
  teacherOption: RunOptions["teacher"],
): ResolvedRecipe {
  if (limit === undefined) return recipe;
  const { teacher, student, evaluation } = recipe;
  const shorter = (training: TrainingRecipe): TrainingRecipe => {
    const samples = Math.min(training.samples, limit);
    return { ...training, samples, batch: Math.min(training.batch, samples), microBatches: 1 };
  };
  const training = shorter(student.training);
  return {
    ...recipe,
    teacher: teacherOption === "train" ? { ...teacher, training: shorter(teacher.training) } : teacher,
    student: { ...student, training, checkpoints: [training.samples] },
    rows: Object.fromEntries(
      Object.entries(recipe.rows).map(([name, row]) => [name, {
        ...row,
        coupling: "maxDrawsPerPoint" in row.coupling ? { ...row.coupling, maxDrawsPerPoint: 4 } : row.coupling,
        ...(row.student && { student: withoutLengths(row.student) }),
        ...(row.teacher && { teacher: teacherOption === "train" ? withoutLengths(row.teacher) : row.teacher }),
      }]),
    ) as ResolvedRecipe["rows"],
    evaluation: {
      ...evaluation,
      checkpoints: [training.samples],
      samples: Math.min(evaluation.samples, limit),
      images: Math.min(evaluation.images, Math.max(limit, 2)),
      pictures: Math.min(evaluation.pictures, 2),
      ...(evaluation.latency &&
        { latency: { ...evaluation.latency, batches: [evaluation.latency.batches[0]!], repeats: 1 } }),
      guidanceSearch: {
        ...evaluation.guidanceSearch,
        samples: Math.min(evaluation.guidanceSearch.samples, limit),
        iterations: Math.min(evaluation.guidanceSearch.iterations, 2),
      },
    },
  };
}

/** A row's difference without what the limit decides. */
function withoutLengths(difference: Mapping): Mapping {
  const { checkpoints: _, training, ...rest } = difference;
  if (training === undefined) return rest;
  const { samples: __, batch: ___, microBatches: ____, ...kept } = training as Mapping;
  return { ...rest, training: kept };
}
