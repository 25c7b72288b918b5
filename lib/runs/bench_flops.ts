import { encodeWork } from "../models/cost.ts";
import { sit } from "../models/sit.ts";
import { tarflow } from "../models/tarflow.ts";
import { defaultOptimizer } from "../training/optimizer.ts";
import { stepCost, studentTrainee, teacherTrainee, type Trainee } from "../training/step_cost.ts";
import type { BenchShape } from "./bench_shapes.ts";

/** Operations of one training step by the case's name, as a dry run counts them: matrix products alone, see `Work`. */
export async function stepFlops(shape: BenchShape): Promise<Readonly<Record<string, number>>> {
  const { image, classes, studentBatch, teacherBatch } = shape;
  const flow = tarflow(shape.teacher, image, classes);
  const ofStep = async (trainee: Trainee, batch: number) =>
    batch * (await stepCost(trainee, { batch, microBatches: 1, optimizer: defaultOptimizer })).flops;
  const student = await ofStep(studentTrainee(sit(shape.student, image, classes), image), studentBatch);
  return {
    "train FM": student,
    "train NFM": student + (await encodeWork(flow, image, studentBatch)).flops,
    "train teacher": await ofStep(teacherTrainee(flow, image), teacherBatch),
  };
}
