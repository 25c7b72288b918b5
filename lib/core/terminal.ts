import * as cliProgress from "cli-progress";
import { barLine } from "./bar_line.ts";

// The package has no types: this much of it is used.
interface Bar {
  start(total: number, value: number, payload: { readonly note: string }): void;
  update(value: number, payload: { readonly note: string }): void;
  stop(): void;
}
type Formatter = (
  options: unknown,
  state: { value: number; progress: number; maxWidth: number },
  payload: { note: string },
) => string;
const { SingleBar } = cliProgress as unknown as {
  readonly SingleBar: new (options: Readonly<Record<string, unknown>>) => Bar;
};

/** Shows how far a long task is. */
export interface Progress {
  /** `done` of the total so far, and a word on the state, for example `loss 0.31`. */
  update(done: number, note?: string): void;
  /** Leaves the last state on the terminal and frees it. */
  stop(): void;
}

export interface ProgressOptions {
  /** Print nothing at all. */
  readonly quiet?: boolean;
  /** Where to; standard error when not said, so that standard output stays clean. */
  readonly stream?: ProgressStream;
  /** Milliseconds since some start; for tests. */
  readonly clock?: () => number;
}

/** A terminal or a file: all that progress needs of one. */
export interface ProgressStream {
  isTerminal(): boolean;
  write(text: string): void;
}

let quiet = false;

/** Silences progress and remarks from here on (`--quiet`), except where a call says otherwise. */
export function beQuiet(): void {
  quiet = true;
}

/** Between two lines where there is no terminal to redraw, in milliseconds. */
const lineInterval = 30_000;

/**
 * A bar with rate and time left on a terminal; in a pipe or a log, a plain line
 * at most every 30 seconds and one at the end.
 *
 * @param unit what is counted, in the plural: `samples`, `steps`
 */
export function progress(label: string, total: number, unit: string, options: ProgressOptions = {}): Progress {
  if (options.quiet ?? quiet) return { update() {}, stop() {} };
  const stream = options.stream ?? standardError;
  return stream.isTerminal()
    ? bar(label, total, unit)
    : lines(label, total, unit, stream, options.clock ?? performance.now.bind(performance));
}

/**
 * Does long work under a bar. The work says how far it is; there an abort is
 * heard, and the terminal is freed however the work ends.
 *
 * @throws the signal's reason, at the next word of progress after an abort
 */
export async function withProgress<Result>(
  label: string,
  total: number,
  unit: string,
  work: (onProgress: Progress["update"]) => Promise<Result>,
  signal?: AbortSignal,
): Promise<Result> {
  const bar = progress(label, total, unit);
  try {
    return await work((done, note) => {
      signal?.throwIfAborted();
      bar.update(done, note);
    });
  } finally {
    bar.stop();
  }
}

/** One line on standard error, unless `quiet`. */
export function say(line: string, options: { readonly quiet?: boolean } = {}): void {
  if (!(options.quiet ?? quiet)) standardError.write(`${line}\n`);
}

/** Seconds as a person says them: `42 s`, `3 min 20 s`, `2 h 05 min`. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "–";
  const whole = Math.round(seconds);
  if (whole < 60) return `${seconds < 10 ? Math.round(seconds * 10) / 10 : whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/** A count as a person says it: `950`, `25k`, `1.5M`, `256 MiB` for whole multiples of 2^20 (the paper's unit). */
export function count(n: number): string {
  if (n >= 2 ** 20 && n % 2 ** 20 === 0) return `${n / 2 ** 20} MiB`;
  if (n >= 1e6) return `${Number((n / 1e6).toPrecision(3))}M`;
  if (n >= 1e4 || n >= 1000 && n % 1000 === 0) return `${Number((n / 1000).toPrecision(3))}k`;
  return Number.isInteger(n) ? `${n}` : `${Number(n.toPrecision(3))}`;
}

const standardError: ProgressStream = {
  isTerminal: () => Deno.stderr.isTerminal(),
  write: (text) => void Deno.stderr.writeSync(new TextEncoder().encode(text)),
};

function bar(label: string, total: number, unit: string): Progress {
  const started = performance.now();
  let first: number | undefined;
  const format: Formatter = (_options, { value, progress: fraction, maxWidth }, { note }) => {
    const rate = (value - (first ?? 0)) / ((performance.now() - started) / 1000);
    return barLine({ label, fraction, state: state(value, total, unit, rate), note }, maxWidth);
  };
  // The line fits, and the cursor stays: a process that is killed leaves nothing of the terminal to be put right.
  const shown = new SingleBar({ format, fps: 4, hideCursor: false, linewrap: true });
  shown.start(total, 0, { note: "" });
  return {
    update(done, note = "") {
      first ??= done;
      shown.update(done, { note });
    },
    stop: () => shown.stop(),
  };
}

function lines(label: string, total: number, unit: string, stream: ProgressStream, clock: () => number): Progress {
  const started = clock();
  let shownAt = started;
  let first: number | undefined;
  let last = { done: 0, note: "" };
  let unsaid = false;
  const show = (done: number, note: string) => {
    const rate = (done - (first ?? 0)) / ((clock() - started) / 1000);
    stream.write(`${label}: ${state(done, total, unit, rate)}${note ? `, ${note}` : ""}\n`);
    shownAt = clock();
    unsaid = false;
  };
  return {
    update(done, note = "") {
      first ??= done;
      last = { done, note };
      unsaid = true;
      if (clock() - shownAt >= lineInterval) show(done, note);
    },
    stop() {
      if (unsaid) show(last.done, last.note);
    },
  };
}

function state(done: number, total: number, unit: string, rate: number): string {
  const left = rate > 0 ? `, ${duration((total - done) / rate)} left` : "";
  const speed = rate > 0 ? `, ${count(rate)} ${unit}/s` : "";
  return `${count(done)} of ${count(total)} ${unit}${speed}${done < total ? left : ""}`;
}
