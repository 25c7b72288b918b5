import { basename, dirname, join } from "node:path";
import type { Library } from "./locate.ts";
import { addFlag, setDefault } from "./flags.ts";

/** Who needs whom among the CUDA libraries: each comes after those that it needs. */
const ORDER = [
  "libcudart",
  "libnvrtc-builtins",
  "libnvrtc",
  "libnvJitLink",
  "libcublasLt",
  "libcublas",
  "libcusparse",
  "libcufft",
  "libcurand",
  "libcusolver",
  "libcudnn_graph",
  "libcudnn_ops",
  "libcudnn",
  "libnccl",
  "libcupti",
];

/** How TensorFlow uses a GPU, besides its own defaults. */
const settings: Readonly<Record<string, string>> = {
  // Memory as it is needed: by default one process takes all of it, and another that shares the GPU fails.
  TF_FORCE_GPU_ALLOW_GROWTH: "true",
  // The same bytes from the same seed: by default sums are added up in the order in which threads happen to end.
  TF_DETERMINISTIC_OPS: "1",
  // cuBLAS and cuDNN multiply float32 in float32; `library.ts` says the same to TensorFlow itself.
  NVIDIA_TF32_OVERRIDE: "0",
};

/**
 * Says how TensorFlow is to use a GPU, but for what the person has set, and
 * loads the CUDA libraries that were installed beside `library` by `load`, so
 * that TensorFlow, which asks the dynamic linker for them by name, gets these;
 * and tells its compiler where `ptxas` and `libdevice` are. To be called before
 * TensorFlow is loaded. Does nothing for a CPU library, or where none are there
 * and the system's own CUDA is meant to serve.
 */
export async function prepareCuda(
  library: Pick<Library, "folder" | "flavour">,
  load: (path: string) => void,
): Promise<void> {
  if (library.flavour !== "gpu") return;
  for (const [variable, value] of Object.entries(settings)) setDefault(variable, value);
  addFlag("XLA_FLAGS", "xla_gpu_deterministic_ops", "true");
  const nvidia = join(dirname(library.folder), "nvidia");
  for (const path of await cudaLibraries(nvidia)) {
    try {
      load(path);
    } catch {
      // TensorFlow says which one it lacks, and goes on with the CPU; a spare one may well not load.
    }
  }
  const compiler = join(nvidia, "cuda_nvcc");
  const there = await Deno.stat(compiler).then(() => true, () => false);
  if (there) addFlag("XLA_FLAGS", "xla_gpu_cuda_data_dir", compiler);
}

/** The shared libraries below `nvidia/<part>/lib`, those first that others need. */
export async function cudaLibraries(nvidia: string): Promise<string[]> {
  const paths = [];
  for (const part of await names(nvidia)) {
    const folder = join(nvidia, part, "lib");
    paths.push(...(await names(folder)).map((name) => join(folder, name)));
  }
  const rank = (path: string) => {
    const stem = basename(path).split(".")[0]!;
    const exact = ORDER.indexOf(stem);
    return exact >= 0 ? exact : ORDER.length;
  };
  return paths.filter((path) => path.includes(".so")).sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}

async function names(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder), (entry) => entry.name)).sort();
  } catch {
    return [];
  }
}
