import type { TeacherMetric } from "../recipes/metric_names.ts";
import type { AutoencoderRecipe, FeaturesRecipe } from "../recipes/types.ts";
import type { Entry } from "./code_version.ts";

/*
 * Where the code of each kind of stage begins: a change of what is reached from
 * there makes the stage again. What it takes from another stage is in its key
 * by that stage's own; what `test/runs/stage_code_test.ts` lists is in none.
 */

/** What is done to images after their digest was taken: grey levels to numbers, mirroring, the choice of fewer. */
const images = ["data/pixel_dataset.ts", "data/subset.ts"] as const;
/** A trained model is read and bound. */
const trained = ["training/weights.ts", "models/bind.ts"] as const;

export const featuresCode: readonly Entry[] = ["metrics/feature_training.ts", ...images];

export const autoencoderCode = (autoencoder: string): Entry[] => [
  { autoencoder },
  "runs/autoencoder_training.ts",
  ...images,
];

/** Of encoding images and of turning latents into images. */
export const latentsCode = ({ model: { kind }, training }: AutoencoderRecipe): Entry[] => [
  { autoencoder: kind },
  "runs/latent_codec.ts",
  ...(training ? [] : ["runs/reference_weights.ts", { reference: kind }]),
  ...trained,
  ...images,
];

export const teacherCode = (flow: string): Entry[] => [{ flow }, "runs/teacher_training.ts", ...images];

/** @param flow of the teacher, where the coupling uses one */
export const couplingCode = (coupling: string, flow?: string): Entry[] => [
  { coupling },
  "runs/coupling.ts",
  ...(flow === undefined ? [] : [{ flow }, ...trained]),
  ...images,
];

/** Besides the coupling's. */
export const studentCode = (velocity: string): Entry[] => [{ velocity }, "runs/student.ts"];

/** Besides the student's. */
export const cellCode = (velocity: string, features: FeaturesRecipe, heldOut: boolean): Entry[] => [
  { velocity },
  "runs/student_stages.ts",
  ...(heldOut ? ["runs/held_out.ts"] : []),
  ...referenceCode(features),
];

/** Of the features of images, and of the statistics that others are compared with. */
export const referenceCode = ({ kind }: FeaturesRecipe): Entry[] => [
  kind === "inception" ? "metrics/inception.ts" : "metrics/classifier.ts",
  "metrics/features.ts",
  "metrics/statistics.ts",
  "metrics/reference_statistics.ts",
  ...images,
];

/** Of what is measured of a teacher apart from its students. */
export function teacherFiguresCode(
  metric: Exclude<TeacherMetric, "parameters">,
  { flow, coupling, features }: {
    readonly flow: string;
    readonly coupling: string;
    readonly features: FeaturesRecipe;
  },
): Entry[] {
  const teacher = [{ flow }, ...trained, ...images];
  if (metric === "likelihood") return [...teacher, "runs/teacher_codes.ts"];
  if (metric === "zDistance") return [...teacher, { coupling }, "runs/teacher_codes.ts"];
  if (metric === "priorMismatch") {
    return [...teacher, { coupling }, "runs/held_out.ts", "metrics/prior_mismatch.ts"];
  }
  return [...teacher, "runs/teacher_samples.ts", ...referenceCode(features)];
}

/** Besides that of the student and of the figures whose guidance weights it takes. */
export const picturesCode: readonly Entry[] = ["runs/pictures.ts"];

export const latencyCode = (flow: string, velocity: string): Entry[] => [{ flow }, { velocity }, "runs/latency.ts"];
