import os from "node:os";
import { outputOf } from "../core/program.ts";

/** The processor of this machine. */
export interface Cpu {
  readonly name: string;
  /** Threads that this process may run at once. */
  readonly threads: number;
  readonly memoryBytes: number;
}

/** An NVIDIA GPU that a driver answers for. */
export interface Gpu {
  readonly name: string;
  readonly memoryBytes: number;
  readonly driver: string;
}

/** Names the processor, as the system does. */
export function cpu(): Cpu {
  const model = os.cpus()[0]?.model?.replace(/\s+/g, " ").trim();
  const name = model && model !== "unknown" ? model : `${Deno.build.arch} CPU`;
  return { name, threads: navigator.hardwareConcurrency, memoryBytes: os.totalmem() };
}

/** What the processor can do, as Linux names it (`avx2`, `asimd`); elsewhere nothing. */
export async function cpuFlags(): Promise<readonly string[]> {
  if (Deno.build.os !== "linux") return [];
  // Deno reads nothing below /proc without all permissions.
  const text = await textOf("cat", ["/proc/cpuinfo"]);
  return /^(?:flags|Features)\s*:(.*)$/m.exec(text)?.[1]?.trim().split(/\s+/) ?? [];
}

/** The NVIDIA GPUs, as `nvidia-smi` lists them; none where there is no driver, or this task may not ask. */
export async function nvidiaGpus(): Promise<readonly Gpu[]> {
  const query = ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits"];
  return parseGpus(await textOf("nvidia-smi", query));
}

const textOf = async (program: string, args: readonly string[]) =>
  new TextDecoder().decode(await outputOf(program, args));

/** Reads `name, MiB, driver` lines. */
export function parseGpus(lines: string): Gpu[] {
  return lines.split("\n").filter((line) => line.includes(",")).map((line) => {
    const [driver = "", mebibytes = "", ...name] = line.split(",").map((field) => field.trim()).reverse();
    return { name: name.reverse().join(", "), memoryBytes: (Number(mebibytes) || 0) * 2 ** 20, driver };
  });
}

/** For example `AMD EPYC, 2 threads` or `NVIDIA H100 80GB HBM3, 80 GiB, driver 550.54`. */
export function describe(device: Cpu | Gpu): string {
  if ("threads" in device) return `${device.name}, ${device.threads} ${device.threads === 1 ? "thread" : "threads"}`;
  const memory = device.memoryBytes > 0 ? `, ${Math.round(device.memoryBytes / 2 ** 30)} GiB` : "";
  return `${device.name}${memory}, driver ${device.driver}`;
}
