import CliTable from "cli-table3";
import type { ModelCosts, StudentCost, TeacherCost, TrainedCost } from "./model_costs.ts";
import type { RowPlan } from "./plan.ts";

const notes =
  `Operations: two for each multiply-add of matrix products and convolutions, attention included, nothing for
the rest, counted over what the model executes; a training step is forward and backward. Memory: all tensors that are
there at once, in float32. State is weights, their average and the optimizer's two moments; peak is state, gradients,
copies and the activations of a micro-batch, with the teacher's weights where the student learns from one, and beside it
the same with training.recompute, which computes layers again for their gradients; drawing is the largest batch of
samples in evaluation. What the engine's kernels take for themselves comes on top.`;

/** What the models of a recipe take, as a table with its conventions. */
export async function modelTable(rows: readonly RowPlan[], models: ModelCosts): Promise<string> {
  const lines = new Map<string, string[]>();
  for (const { row, teacher, students, latency } of rows) {
    const ofTeacher = teacher || latency ? await models.teacher(row) : undefined;
    if (ofTeacher) {
      const { width, patch, blocks } = row.teacher.model;
      const name = `teacher TF-${layout(blocks)}-${width}/${patch}`;
      const draws = latency || teacher!.figures.some(({ metric }) => metric === "teacherFrechet");
      lines.set(
        name,
        line(name, ofTeacher, {
          trains: teacher?.training !== undefined,
          beside: 0,
          ...(draws && { drawing: ofTeacher.drawingBytes }),
        }),
      );
    }
    if (students.length === 0 && !latency) continue;
    const { width, patch, depth } = row.student.model, cost = await models.student(row);
    const name = `student SiT-${depth}×${width}/${patch}${teacher ? " with teacher" : ""}`;
    const beside = teacher ? 4 * ofTeacher!.parameters : 0;
    lines.set(
      name,
      line(name, cost, {
        trains: students.length > 0,
        beside,
        atLeast: teacher ? cost.stateBytes + ofTeacher!.encodingBytes : 0,
        drawing: cost.drawingBytes,
      }),
    );
  }
  const table = new CliTable({
    head: [
      "model",
      "parameters",
      "tokens",
      "forward",
      "training",
      "micro-batch",
      "state",
      "a sample",
      "peak",
      "recomputed",
      "drawing",
    ],
    style: { head: [], border: [], compact: true },
  });
  for (const cells of lines.values()) table.push(cells);
  return `${table.toString()}\n${notes}`;
}

function line(
  name: string,
  cost: TrainedCost & Pick<StudentCost | TeacherCost, "forward">,
  { trains, beside, atLeast = 0, drawing }: { trains: boolean; beside: number; atLeast?: number; drawing?: number },
): string[] {
  const { parameters, tokens, forward, flops, microBatch, stateBytes, sampleBytes } = cost;
  const peaks = [cost.peakBytes, cost.recomputedBytes].map((bytes) => Math.max(bytes + beside, atLeast));
  const training = [`${microBatch}`, ...[stateBytes, sampleBytes, ...peaks].map(bytesInWords)];
  return [
    name,
    parameters.toLocaleString("en"),
    `${tokens}`,
    operations(forward),
    operations(flops),
    ...(trains ? training : training.map(() => "–")),
    drawing === undefined ? "–" : bytesInWords(drawing),
  ];
}

/** The paper's notation: `6×2+2×26`. */
function layout(blocks: readonly number[]): string {
  const runs: [count: number, layers: number][] = [];
  for (const layers of blocks) {
    const last = runs.at(-1);
    if (last?.[1] === layers) last[0]++;
    else runs.push([1, layers]);
  }
  return runs.map(([count, layers]) => `${count}×${layers}`).join("+");
}

const prefixes = ["", "k", "M", "G", "T", "P", "E", "Z"];

/** Three digits and a decimal prefix: `237 G`. */
function scaled(value: number): string {
  const step = value < 1 ? 0 : Math.min(prefixes.length - 1, Math.floor(Math.log10(value) / 3));
  return `${Number((value / 1000 ** step).toPrecision(3))} ${prefixes[step]}`;
}

/** `237 GFLOP`. */
export const operations = (flops: number): string => flops === 0 ? "–" : `${scaled(flops)}FLOP`;
/** `43.5 GB`. */
export const bytesInWords = (bytes: number): string => `${scaled(bytes)}B`;
