import { dirname } from "node:path";
import { readText } from "../core/files.ts";
import { Problem } from "../core/problem.ts";

/** One line of the log: what step 1, 2, 3 … measured. */
export interface LossRecord {
  readonly step: number;
  /** Mean over the batch, before the step's update. */
  readonly loss: number;
  /** Global L2 norm, before clipping. */
  readonly gradientNorm: number;
}

/** An open log, one JSON record a line. */
export interface LossLog {
  append(record: LossRecord): void;
  /** Waits until all lines are on the disk: to be done before a checkpoint that counts on them. */
  sync(): Promise<void>;
  close(): void;
}

/**
 * Opens a log to go on after `step`, dropping the lines beyond it, so that the
 * log of an interrupted run ends up equal to that of an uninterrupted one.
 *
 * @throws {Problem} exit code 74 when lines up to `step` are missing or the disk refuses.
 */
export async function openLossLog(path: string, step: number): Promise<LossLog> {
  const length = step === 0 ? 0 : await lengthUpTo(path, step);
  try {
    await Deno.mkdir(dirname(path), { recursive: true });
    const file = await Deno.open(path, { create: true, write: true });
    await file.truncate(length);
    await file.seek(length, Deno.SeekMode.Start);
    return createLog(path, file);
  } catch (error) {
    throw unwritable(path, error);
  }
}

/**
 * All records of a log.
 *
 * @throws {Problem} naming the line that is not a record.
 */
export async function readLossLog(path: string): Promise<LossRecord[]> {
  const lines = (await readText(path)).split("\n").slice(0, -1);
  return lines.map((line, i) => parseRecord(line, i + 1, path));
}

/** The mean loss over the last `share` of the steps, summed in float64: what a figure reports. */
export function meanLoss(records: readonly LossRecord[], share = 0.1): number {
  const last = records.slice(-Math.max(1, Math.round(records.length * share)));
  return last.reduce((sum, { loss }) => sum + loss, 0) / last.length;
}

function createLog(path: string, file: Deno.FsFile): LossLog {
  const encoder = new TextEncoder();
  return {
    append({ step, loss, gradientNorm }) {
      const bytes = encoder.encode(
        `${JSON.stringify({ step, loss: short(loss), gradientNorm: short(gradientNorm) })}\n`,
      );
      try {
        for (let written = 0; written < bytes.length;) written += file.writeSync(bytes.subarray(written));
      } catch (error) {
        throw unwritable(path, error);
      }
    },
    async sync() {
      await file.sync().catch((error) => {
        throw unwritable(path, error);
      });
    },
    close: () => file.close(),
  };
}

/** The float32 value in no more digits than it has: nine tell every float32 apart. */
function short(value: number): number {
  return Number(value.toPrecision(9));
}

async function lengthUpTo(path: string, step: number): Promise<number> {
  const text = await readText(path); // ASCII: characters are bytes
  let length = 0;
  for (let line = 1; line <= step; line++) {
    const end = text.indexOf("\n", length);
    if (end < 0) {
      throw new Problem(
        `Cannot resume at step ${step}: the log ${path} ends after step ${line - 1}; restore it, or remove the ` +
          `checkpoints to start again`,
        { exitCode: 74 },
      );
    }
    if (line === step) parseRecord(text.slice(length, end), step, path);
    length = end + 1;
  }
  return length;
}

function parseRecord(line: string, step: number, path: string): LossRecord {
  try {
    const record = JSON.parse(line) as LossRecord;
    if (record.step === step && typeof record.loss === "number") return record;
  } catch {
    // told below
  }
  throw new Problem(`Cannot use the log ${path}: line ${step} is not the record of step ${step}`, { exitCode: 74 });
}

function unwritable(path: string, error: unknown): Problem {
  const reason = error instanceof Error ? error.message : String(error);
  return new Problem(`Cannot write the log ${path}: ${reason}`, { cause: error, exitCode: 74 });
}
