import { priorMismatch } from "../metrics/prior_mismatch.ts";
import { heldOutNoise } from "./held_out.ts";
import type { TeacherFigures } from "./plan.ts";
import type { StageFigures } from "./stage_figures.ts";
import { distancesOfCodes, likelihoods } from "./teacher_codes.ts";
import type { TeacherInputs } from "./teacher_inputs.ts";
import { ownSamples } from "./teacher_samples.ts";

/** One group of figures of a teacher apart from its students. */
export async function measureTeacher(
  inputs: TeacherInputs,
  { metric, guidance }: Pick<TeacherFigures, "metric" | "guidance">,
): Promise<StageFigures> {
  if (metric === "likelihood") return { figures: await likelihoods(inputs) };
  if (metric === "zDistance") return { figures: await distancesOfCodes(inputs) };
  if (metric === "priorMismatch") {
    const { noise, labels } = await heldOutNoise(inputs);
    return { figures: priorMismatch({ z: noise, labels, dims: noise.length / labels.length }) };
  }
  return await ownSamples(inputs, guidance!);
}
