import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { Problem } from "../../core/problem.ts";
import type { Answer, Job } from "./worker.ts";

/** Worker threads that take jobs in the order given. */
export interface Pool {
  readonly threads: number;
  /**
   * Runs a job in the next thread that is free.
   *
   * @throws {Problem} as the job does
   */
  run<Result>(job: Job): Promise<Result>;
  /** Ends the threads. A pool that is not closed does not keep the program alive. */
  close(): Promise<void>;
}

interface Waiting {
  readonly job: Job;
  readonly resolve: (result: never) => void;
  readonly reject: (error: unknown) => void;
}

/** A pool of `threads` workers, one per core where not said; each starts with its first job. */
export function createPool(threads = availableParallelism()): Pool {
  const idle: Worker[] = [], all: Worker[] = [], waiting: Waiting[] = [];
  const next = () => {
    if (waiting.length === 0) return;
    // The thread that was last busy first: it may have a file open where the next job goes on.
    const worker = idle.pop() ?? (all.length < threads ? start() : undefined);
    if (!worker) return;
    const task = waiting.shift()!;
    worker.ref();
    const settle = (answer: Answer) => {
      worker.off("error", fail);
      worker.unref();
      idle.push(worker);
      if (answer.error) task.reject(errorOf(answer.error));
      else task.resolve(answer.result as never);
      next();
    };
    const fail = (error: unknown) => {
      worker.off("message", settle);
      all.splice(all.indexOf(worker), 1);
      task.reject(error);
      next();
    };
    worker.once("message", settle);
    worker.once("error", fail);
    worker.postMessage(task.job);
  };
  const start = () => {
    const worker = new Worker(new URL("./worker.ts", import.meta.url));
    all.push(worker);
    return worker;
  };
  return {
    threads,
    run: (job) =>
      new Promise((resolve, reject) => {
        waiting.push({ job, resolve, reject });
        next();
      }),
    async close() {
      await Promise.all(all.splice(0).map((worker) => worker.terminate()));
      idle.length = 0;
    },
  };
}

function errorOf({ message, exitCode, stack }: NonNullable<Answer["error"]>): Error {
  if (exitCode !== undefined) return new Problem(message, { exitCode });
  return Object.assign(new Error(message), stack !== undefined && { stack });
}

let shared: Pool | undefined;

/** The pool of this program, started by the first that asks for it. */
export function sharedPool(threads?: number): Pool {
  return shared ??= createPool(threads);
}

/** Ends the program's pool, if there is one. */
export async function closeSharedPool(): Promise<void> {
  await shared?.close();
  shared = undefined;
}
