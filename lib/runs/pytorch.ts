import { join } from "node:path";
import { exists, writeFileAtomic } from "../core/files.ts";
import { Problem } from "../core/problem.ts";
import { runProgram, startProgram } from "../core/program.ts";
import { say } from "../core/terminal.ts";
import { cacheFolder } from "../engine/locate.ts";
import type { ProductType } from "../engine/products.ts";

const version = "2.15.0";
const script = new URL("./bench_pytorch.py", import.meta.url).pathname;

/** As PyTorch runs it, operation by operation or with `torch.compile`. */
export type PyTorchVariant = "eager" | "compile";

/** A PyTorch process that answers the benchmark's requests. */
export interface PyTorch {
  readonly version: string;
  /** Runs a case `calls` times; gives the processor seconds of a call. @throws {Error} with PyTorch's own message. */
  run(
    pytorchCase: Readonly<Record<string, unknown>>,
    variant: PyTorchVariant,
    products: ProductType,
    calls: number,
  ): Promise<number>;
  close(): Promise<void>;
}

/**
 * A Python that has PyTorch: made once in the cache folder, as a virtual
 * environment, through the person's own pip.
 *
 * @throws {Problem} without Python, pip, network or disk space
 */
export async function pythonWithTorch(): Promise<string> {
  const folder = join(cacheFolder(), `pytorch-${version}`), python = join(folder, "bin", "python");
  const complete = join(folder, "complete");
  if (await exists(complete)) return python;
  say(`Fetching PyTorch ${version} into ${folder}: once, some minutes and some GB …`);
  await Deno.remove(folder, { recursive: true }).catch(() => {});
  await command("python3", ["-m", "venv", folder]);
  await command(python, ["-m", "pip", "install", "--no-input", "--disable-pip-version-check", `torch==${version}`]);
  await writeFileAtomic(complete, `${version}\n`);
  return python;
}

/** Runs a program of those that fetch PyTorch; what it fetches is said as it comes. */
async function command(program: string, args: string[]): Promise<void> {
  const { success, stderr } = await runProgram(program, args, {
    purpose: "compare with PyTorch",
    onLine: (line) => /^(Collecting|Installing)/.test(line) && say(line),
  });
  if (success) return;
  const lines = stderr.trim().split("\n");
  const reason = lines.findLast((line) => line.startsWith("ERROR")) ?? lines.at(-1) ?? "no reason given";
  throw new Problem(`Cannot fetch PyTorch ${version}: ${reason.slice(0, 300)}`, { exitCode: 74 });
}

/**
 * Starts the project's PyTorch script.
 *
 * @param python a Python that has torch
 * @param device PyTorch's word for what it is to run on
 * @throws {Problem} when it has none, or cannot be run
 */
export async function openPyTorch(python: string, threads: number, device: "cpu" | "cuda"): Promise<PyTorch> {
  const env = { OMP_NUM_THREADS: String(threads) };
  const child = startProgram(python, [script], { purpose: "compare with PyTorch", env });
  const stderr = new Response(child.stderr).text();
  const input = child.stdin.getWriter(), encoder = new TextEncoder();
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  const ask = async (request: unknown): Promise<Record<string, unknown>> => {
    await input.write(encoder.encode(JSON.stringify(request) + "\n")).catch(() => {});
    while (!rest.includes("\n")) {
      const { value, done } = await output.read();
      if (done) {
        const reason = (await stderr).trim().split("\n").at(-1);
        throw new Problem(`The PyTorch script stopped: ${reason || "it gave no reason"}; it needs a Python with torch`);
      }
      rest += value;
    }
    const end = rest.indexOf("\n"), reply = JSON.parse(rest.slice(0, end));
    rest = rest.slice(end + 1);
    return reply;
  };
  const { version } = await ask({ threads, device });
  return {
    version: String(version),
    async run(pytorchCase, variant, products, calls) {
      const { error, processor } = await ask({ case: pytorchCase, variant, products, calls });
      if (error !== undefined) throw new Error(String(error));
      return Number(processor);
    },
    async close() {
      await input.close().catch(() => {});
      await child.status;
      await output.cancel();
      await stderr;
    },
  };
}
