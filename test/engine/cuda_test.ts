import { assertEquals } from "@std/assert";
import { join } from "node:path";
import { prepareCuda } from "../../lib/engine/cuda.ts";

const variables = ["TF_FORCE_GPU_ALLOW_GROWTH", "TF_DETERMINISTIC_OPS", "NVIDIA_TF32_OVERRIDE", "XLA_FLAGS"];

/** What `prepareCuda` loads for a library beside these files, and the variables that it leaves. */
async function prepared(flavour: "cpu" | "gpu", files: readonly string[], given: Record<string, string> = {}) {
  const root = await Deno.makeTempDir(), before = variables.map((name) => Deno.env.get(name));
  const loaded: string[] = [];
  try {
    for (const file of files) {
      await Deno.mkdir(join(root, file, ".."), { recursive: true });
      await Deno.writeTextFile(join(root, file), "");
    }
    for (const name of variables) given[name] === undefined ? Deno.env.delete(name) : Deno.env.set(name, given[name]);
    await prepareCuda({ folder: join(root, "tensorflow"), flavour }, (path) => loaded.push(path));
    return {
      loaded: loaded.map((path) => path.slice(root.length + 1)),
      variables: variables.map((name) => Deno.env.get(name)?.replaceAll(root, "")),
    };
  } finally {
    variables.forEach((name, i) => before[i] === undefined ? Deno.env.delete(name) : Deno.env.set(name, before[i]!));
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("prepareCuda() loads what others need first, and has a GPU compute float32, in one order, in the memory it needs", async () => {
  const files = [
    "nvidia/cublas/lib/libcublas.so.12",
    "nvidia/cublas/lib/libcublasLt.so.12",
    "nvidia/cuda_nvcc/bin/ptxas",
    "nvidia/cuda_runtime/lib/libcudart.so.12",
    "nvidia/cuda_runtime/lib/notes.txt",
    "nvidia/cufft/lib/libcufftw.so.11",
  ];
  const found = await prepared("gpu", files, { XLA_FLAGS: "--other=1" });
  const [cublas, lt, , runtime, , wrapper] = files;
  assertEquals(found.loaded, [runtime, lt, cublas, wrapper]);
  const flags = "--other=1 --xla_gpu_deterministic_ops=true --xla_gpu_cuda_data_dir=/nvidia/cuda_nvcc";
  assertEquals(found.variables, ["true", "1", "0", flags]);
});

Deno.test("prepareCuda() leaves what the person has set, and does nothing for a library of the CPU's", async () => {
  const given = { TF_FORCE_GPU_ALLOW_GROWTH: "false", TF_DETERMINISTIC_OPS: "0", NVIDIA_TF32_OVERRIDE: "1" };
  const flags = "--xla_gpu_deterministic_ops=false";
  const chosen = await prepared("gpu", [], { ...given, XLA_FLAGS: flags });
  assertEquals(chosen, { loaded: [], variables: [...Object.values(given), flags] });
  const none = await prepared("cpu", ["nvidia/cublas/lib/libcublas.so.12"]);
  assertEquals(none, { loaded: [], variables: variables.map(() => undefined) });
});
