import { parseJson } from "../core/json.ts";
import * as z from "zod";

const spread = { low: z.number(), median: z.number(), high: z.number() };

const variant = z.union([
  z.strictObject({
    /** Milliseconds of a call: quartiles and median over the rounds. */
    ...spread,
    /** Milliseconds of processor time of a call, all threads: the median. */
    processor: z.number(),
    /** Seconds of the first call: recording and compiling. */
    firstSeconds: z.number(),
    /** Calls a turn. */
    calls: z.int(),
  }),
  z.strictObject({ failed: z.string() }),
]);

/** What `deno task bench` found, as it is kept in `results/bench/`. */
const schema = z.strictObject({
  version: z.literal(1),
  date: z.string(),
  commit: z.string().optional(),
  /** Name of the file in `results/environments/`. */
  environment: z.string(),
  threads: z.int(),
  /** Mean number of running processes on the machine in the last minute, before and after; ours are among them. */
  load: z.tuple([z.number(), z.number()]),
  rounds: z.int(),
  turnSeconds: z.number(),
  pytorch: z.string().optional(),
  /** Float32 matrix products, 10⁹ operations a second. */
  peak: z.record(z.string(), z.strictObject(spread)),
  cases: z.array(z.strictObject({
    shape: z.string(),
    name: z.string(),
    samples: z.int().optional(),
    variants: z.record(z.string(), variant),
    /** The time of `comparedWay` over that of each way, round by round: quartiles and median. */
    ratios: z.record(z.string(), z.strictObject({ ...spread, processor: z.number() })),
    /** The matrix products' share of the measured peak, in the default way. */
    ofPeak: z.number().optional(),
    /** Tensors that the rounds left behind: 0. */
    leaked: z.int(),
  })),
  /** Seconds from nothing to the first value, in a process of its own, and its memory then. */
  start: z.record(z.string(), z.strictObject({ ...spread, megabytes: z.number() })),
  /** The most that the benchmark's own process held, in MB. */
  peakMegabytes: z.number(),
});

export type BenchReport = z.output<typeof schema>;
export type BenchCaseReport = BenchReport["cases"][number];

/** The way in which runs compute: ratios are its time over another's. */
export const defaultWay = "traced";

/** What ends the names of others' ways that multiply in bfloat16. */
export const inBfloat16 = " bf16";

/** The way of ours that `way` is compared with. */
export const comparedWay = (way: string): string => way.endsWith(inBfloat16) ? "bf16" : defaultWay;

/** @throws {Problem} when the text is not a report; `path` is its name in the message. */
export function parseBench(path: string, text: string): BenchReport {
  return parseJson(path, text, (json) => schema.parse(json), "run deno task bench again to write it anew");
}
