/**
 * What runs in a worker thread: preparing chunks and reading batches, one job
 * after the other. Decoding an image costs milliseconds, a batch of them
 * seconds, and training must not wait for that.
 */
import { parentPort } from "node:worker_threads";
import { Problem } from "../../core/problem.ts";
import { closeNpz } from "./chrabaszcz.ts";
import { type ChunkJob, prepareChunk } from "./chunk.ts";
import { gatherImages, type GatherJob } from "./gather.ts";

/** A job as the pool sends it. */
export type Job = { readonly prepare: ChunkJob } | { readonly gather: GatherJob };

/** What a worker answers: the job's result, or why there is none. */
export interface Answer {
  readonly result?: unknown;
  readonly error?: { readonly message: string; readonly exitCode?: number; readonly stack?: string };
}

parentPort?.on("message", async (job: Job) => {
  try {
    if ("gather" in job) {
      const data = await gatherImages(job.gather);
      parentPort!.postMessage({ result: data } satisfies Answer, [data.buffer]);
    } else {
      parentPort!.postMessage({ result: await prepareChunk(job.prepare) } satisfies Answer);
    }
  } catch (error) {
    await closeNpz();
    parentPort!.postMessage({ error: described(error) } satisfies Answer);
  }
});

function described(error: unknown): NonNullable<Answer["error"]> {
  if (error instanceof Problem) return { message: error.message, exitCode: error.exitCode };
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  return { message, ...(stack !== undefined && { stack }) };
}
