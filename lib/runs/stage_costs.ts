import { drawsFor } from "../couplings/chi_squared.ts";
import { groupingOf } from "../couplings/leading.ts";
import type { Dataset } from "../data/types.ts";
import type { ProductType } from "../engine/mod.ts";
import { sizeOf } from "../nn/parameters.ts";
import type { ResolvedRecipe, RowRecipe, SamplerRecipe } from "../recipes/types.ts";
import { comparesImages, readsImages } from "./asks.ts";
import type { ImageCost, ModelCosts, StudentCost, TeacherCost } from "./model_costs.ts";
import type { CellPlan, RowPlan, TeacherFigures } from "./plan.ts";
import { teacherBatch } from "./teacher_inputs.ts";
import type { Splits } from "./workbench.ts";

/** What a stage takes. */
export interface Cost {
  /** By what the factors of its products are read in. */
  readonly flops: Readonly<Record<ProductType, number>>;
  /** Layers of one token that wait for one another, as in decoding: a machine takes some time for each, however little it computes. */
  readonly serial: number;
}

/** Operations of a cost, whatever they are computed in. */
export const flopsOf = ({ flops }: Cost): number => flops.float32 + flops.bfloat16;

export const noCost: Cost = { flops: { float32: 0, bfloat16: 0 }, serial: 0 };
const computing = (flops: number, products: ProductType = "float32"): Cost => ({
  flops: { ...noCost.flops, [products]: flops },
  serial: 0,
});
/** What is done one after the other. */
export const sumCosts = (...costs: readonly Cost[]): Cost =>
  costs.reduce((a, b) => ({
    flops: { float32: a.flops.float32 + b.flops.float32, bfloat16: a.flops.bfloat16 + b.flops.bfloat16 },
    serial: a.serial + b.serial,
  }), noCost);

/** What every stage takes, by its folder. */
export async function stageCosts(
  recipe: ResolvedRecipe,
  rows: readonly RowPlan[],
  splits: Splits,
  models: ModelCosts,
): Promise<ReadonlyMap<string, Cost>> {
  const costs = new Map<string, Cost>();
  for (const plan of rows) {
    const { row, teacher, coupling, students, pictures, latency } = plan;
    const context = { row, recipe, splits, images: await models.images() };
    const ofTeacher = teacher || latency ? await models.teacher(row) : undefined;
    const ofStudent = await models.student(row);
    if (teacher?.training) {
      const { samples, products } = row.teacher.training;
      costs.set(teacher.training.folder, computing(ofTeacher!.flops * samples, products));
    }
    for (const figures of teacher?.figures ?? []) {
      costs.set(figures.plan.folder, teacherCost(context, ofTeacher!, figures));
    }
    costs.set(coupling.folder, couplingCost(row, splits, teacher && ofTeacher));
    for (const { plan, cells } of students) {
      const { training, pairUses = 1 } = row.student;
      const pairing = teacher ? ofTeacher!.forward : assignment(row, splits);
      const pairs = computing(pairing / pairUses * training.samples, encodingProducts(row));
      costs.set(plan.folder, sumCosts(computing(ofStudent.flops * training.samples, training.products), pairs));
      for (const cell of cells) costs.set(cell.plan.folder, cellCost(context, ofStudent, cell, teacher && ofTeacher));
    }
    for (const { guidance, plan } of pictures) {
      costs.set(plan.folder, picturesCost(context, ofStudent, guidance === "search", teacher && ofTeacher));
    }
    if (latency) costs.set(latency.folder, latencyCost(recipe, ofStudent, ofTeacher!));
  }
  return costs;
}

/** What is done before the stages, where it is not done yet: latents, and the statistics of the training set. */
export function onceCosts(
  recipe: ResolvedRecipe,
  { train, test }: Splits,
  images: ImageCost,
): ReadonlyMap<string, Cost> {
  const { autoencoder, features, flips } = recipe;
  const encoded = train.size * (flips ? 2 : 1) + test.size;
  return new Map([
    ...(autoencoder && readsImages(recipe) ? [["latents", computing(images.encode * encoded)] as const] : []),
    ...(features.kind === "inception" && features.reference === undefined && comparesImages(recipe)
      ? [["statistics of the training set", computing(images.features * train.size)] as const]
      : []),
  ]);
}

interface Context {
  readonly row: RowRecipe;
  readonly recipe: ResolvedRecipe;
  readonly splits: Splits;
  readonly images: ImageCost;
}

/** Images that a search of w draws: golden section takes a probe more than it has iterations. */
const probed = ({ evaluation: { guidanceSearch } }: ResolvedRecipe) =>
  (guidanceSearch.iterations + 1) * guidanceSearch.samples;

/** Drawing with a solver, each evaluation twice with guidance. */
function drawing(
  { forward, layers }: StudentCost,
  samplers: readonly SamplerRecipe[],
  count: number,
  passes: number,
  batch: number,
) {
  const nfe = samplers.reduce((sum, sampler) => sum + sampler.nfe, 0);
  return { ...computing(forward * nfe * passes * count), serial: Math.ceil(count / batch) * nfe * passes * layers };
}

/** Token by token through every block, then the score step. */
function decoding(
  { forward, denoise, layers, tokens }: TeacherCost,
  count: number,
  passes: number,
  batch: number,
): Cost {
  const serial = Math.ceil(count / batch) * layers * (tokens - 1);
  return { ...computing((forward * passes + denoise) * count), serial };
}

/** Turning drawn samples into images, and these into features. */
const measuring = ({ images }: Context, count: number) => computing((images.decode + images.features) * count);

function cellCost(
  context: Context,
  student: StudentCost,
  { sampler, guidance }: CellPlan,
  teacher?: TeacherCost,
): Cost {
  const { recipe, splits } = context, { batch, samples, images } = recipe.evaluation;
  const draw = (count: number, passes: number) =>
    sumCosts(drawing(student, [sampler], count, passes, batch), measuring(context, count));
  if (guidance === "unguided") return draw(samples, 1);
  if (guidance === "search") return sumCosts(draw(samples, 2), draw(probed(recipe), 2));
  const count = Math.min(images, splits.test.size);
  return sumCosts(draw(count, 1), computing(teacher!.forward * count));
}

function teacherCost(context: Context, teacher: TeacherCost, { metric, guidance }: TeacherFigures): Cost {
  const { recipe, splits } = context, { images, samples } = recipe.evaluation;
  const [train, test] = [Math.min(images, splits.train.size), Math.min(images, splits.test.size)];
  if (metric === "likelihood") return computing(teacher.forward * (train + test));
  if (metric === "priorMismatch") return computing(teacher.forward * test);
  // Two images and two noises of each pair, in all four combinations.
  if (metric === "zDistance") return computing(teacher.forward * 4 * Math.floor(train / 2));
  const draw = (count: number, passes: number) =>
    sumCosts(decoding(teacher, count, passes, teacherBatch), measuring(context, count));
  return guidance === "search" ? sumCosts(draw(samples, 2), draw(probed(recipe), 2)) : draw(samples, 1);
}

/** A teacher's σ over the training set; or the fit of potentials, whose steps multiply noise with every image. */
function couplingCost(row: RowRecipe, { train }: Splits, teacher?: TeacherCost): Cost {
  const { coupling } = row;
  if (teacher) {
    const some = "sigmaSamples" in coupling ? coupling.sigmaSamples : undefined;
    return computing(teacher.forward * Math.min(some ?? train.size, train.size), encodingProducts(row));
  }
  if (coupling.kind !== "semidiscrete") return noCost;
  const { chiSquared, batchSize } = coupling, members = rivals(coupling, train), dimension = sizeOf(train.shape);
  const { size, directions } = groupingOf({ dimension }, batchSize);
  // Averaged over n draws an image, the potential's own χ² is about 1/n; a fit takes up to twice as many, and some checks.
  const fitting = 2 * members / chiSquared * (directions + dimension / size);
  const checking = 4 * drawsFor(chiSquared, members) * dimension;
  return computing(2 * train.size * (fitting + checking));
}

/** What a coupling's teacher multiplies in as it encodes. */
const encodingProducts = ({ coupling }: RowRecipe) => "products" in coupling ? coupling.products : undefined;

/** Finding the image of one noise: its product with every image that it may be sent to. */
function assignment({ coupling }: RowRecipe, { train }: Splits): number {
  return coupling.kind === "semidiscrete" ? 2 * sizeOf(train.shape) * rivals(coupling, train) : 0;
}

/** Images that a noise may be sent to. */
const rivals = (coupling: { readonly labelCost: number | "infinite" }, { size, classes }: Dataset) =>
  coupling.labelCost === "infinite" ? size / classes : size;

function picturesCost(context: Context, student: StudentCost, guided: boolean, teacher?: TeacherCost): Cost {
  const { recipe, splits } = context, { pictures, samplers, batch } = recipe.evaluation;
  const count = pictures * splits.train.classes, passes = guided ? 2 : 1;
  return sumCosts(
    drawing(student, samplers, count, passes, batch),
    teacher ? decoding(teacher, count, passes, teacherBatch) : noCost,
    computing(context.images.decode * count * (samplers.length + 1)),
  );
}

/** Timing decodes twice and denoises once a round, then runs every solver. */
function latencyCost({ evaluation }: ResolvedRecipe, student: StudentCost, teacher: TeacherCost): Cost {
  const { samplers, guidance, latency } = evaluation;
  const rounds = latency!.repeats + 1;
  const costs = guidance.flatMap((kind) =>
    latency!.batches.flatMap((batch) => {
      const passes = kind === "unguided" ? 1 : 2, count = rounds * batch;
      return [
        decoding(teacher, count, passes, batch),
        decoding({ ...teacher, denoise: 0 }, count, passes, batch),
        drawing(student, samplers, count, passes, batch),
      ];
    })
  );
  return sumCosts(...costs);
}
