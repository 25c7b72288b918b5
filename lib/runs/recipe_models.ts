import { canonicalJson } from "../core/hash.ts";
import type { Dataset } from "../data/types.ts";
import * as autoencoders from "../models/autoencoders.ts";
import * as flows from "../models/flows.ts";
import type { AutoencoderDefinition, FlowDefinition, VelocityDefinition } from "../models/types.ts";
import * as velocities from "../models/velocities.ts";
import type { ImageShape } from "../nn/patches.ts";
import type { AutoencoderRecipe, StudentRecipe, TeacherRecipe } from "../recipes/types.ts";

/** The flow that a recipe names, over a dataset's images and classes. */
export function flowOf(
  { model, training: { recompute = false } }: TeacherRecipe,
  { shape, classes }: Dataset,
): FlowDefinition {
  const { kind, ...options } = model;
  return flows[kind]({ ...options, recompute }, shape, classes);
}

// One a recipe, so that what the engine recorded for it serves every row, seed and checkpoint.
const students = new Map<string, VelocityDefinition>();

/** The velocity model that a recipe names, over a dataset's images and classes. */
export function velocityOf(
  { model, training: { recompute = false } }: StudentRecipe,
  { shape, classes }: Dataset,
): VelocityDefinition {
  const key = canonicalJson([model, recompute, shape, classes]);
  let definition = students.get(key);
  if (!definition) {
    const { kind, ...options } = model;
    students.set(key, definition = velocities[kind]({ ...options, recompute }, shape, classes));
  }
  return definition;
}

/** The autoencoder that a recipe names, over images of `shape`. */
export function autoencoderOf({ model }: AutoencoderRecipe, { shape }: Dataset): AutoencoderDefinition {
  const { kind, ...options } = model;
  const build = autoencoders[kind] as (options: never, shape: ImageShape) => AutoencoderDefinition;
  return build(options as never, shape);
}
