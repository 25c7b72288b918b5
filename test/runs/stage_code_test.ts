import { assert, assertEquals, assertMatch } from "@std/assert";
import { loadRecipe } from "../../lib/recipes/load.ts";
import { codeFiles, type Entry } from "../../lib/runs/code_version.ts";
import {
  autoencoderCode,
  cellCode,
  couplingCode,
  featuresCode,
  latencyCode,
  latentsCode,
  picturesCode,
  referenceCode,
  studentCode,
  teacherCode,
  teacherFiguresCode,
} from "../../lib/runs/stage_code.ts";

const root = new URL("../../lib/", import.meta.url);

/** Files that stages import and that cannot change a number. The walk ends at them. */
const apart: Readonly<Record<string, string>> = {
  "core/files.ts": "writes and reads files whole",
  "core/hash.ts": "identifies",
  "core/json.ts": "reads JSON and checks its form",
  "core/problem.ts": "errors",
  "core/terminal.ts": "prints",
  "core/turn.ts": "lets signals run",
  "couplings/mod.ts": "a registry: the member that runs is an entry",
  "engine/compiled.ts": "keeps what XLA compiled, which gives the same bytes",
  "engine/device.ts": "names the device",
  "engine/open.ts": "opens the engine",
  "models/autoencoders.ts": "a registry",
  "models/flows.ts": "a registry",
  "models/velocities.ts": "a registry",
  "results/figures.ts": "names figures",
  "runs/gather.ts": "names and gathers the figures of stages that are done",
  "runs/stages.ts": "keeps what stages made",
  "runs/teacher_figures.ts": "chooses by the metric, which is in the key",
};

/** Every file below lib/ that is loaded with `files`, and by which; nothing below one that is apart. */
async function loadedWith(files: readonly string[]): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const visit = async (path: string, by: string): Promise<void> => {
    if (found.has(path)) return;
    found.set(path, by);
    if (path in apart && by !== "the stage") return;
    const text = await Deno.readTextFile(new URL(path, root));
    for (const [, name] of text.matchAll(/^(?:import|export)\s(?!type\b)[^"';]*?from\s+"(\.[^"]+)"/gm)) {
      await visit(new URL(name!, new URL(path, root)).href.slice(root.href.length), path);
    }
  };
  for (const file of files) await visit(file, "the stage");
  return found;
}

const { features } = (await loadRecipe("table4", "quick")).recipe;
const inception = (await loadRecipe("table4", "paper")).recipe.features;
const published = { model: { kind: "autoencoderKl" }, pretrained: "anywhere", scale: 0.18215 } as const;

const teacher = teacherCode("tarflow");
const coupling = couplingCode("normalizingFlow", "tarflow");
const student = [...coupling, ...studentCode("sit")];
const cell = [...student, ...cellCode("sit", features, false)];
const heldOut = [...student, ...cellCode("sit", features, true)];
const common = { flow: "tarflow", coupling: "normalizingFlow", features };
const metrics = ["likelihood", "priorMismatch", "zDistance", "teacherFrechet"] as const;

/** What is loaded to make each kind of stage, and its code: its own and that of stages whose keys are in its key. */
const kinds: Readonly<Record<string, { readonly loads: readonly string[]; readonly code: readonly Entry[] }>> = {
  features: { loads: ["metrics/feature_training.ts"], code: featuresCode },
  autoencoder: {
    loads: ["runs/autoencoder_training.ts", "models/convolutional.ts"],
    code: autoencoderCode("convolutional"),
  },
  latents: {
    loads: ["runs/latent_codec.ts", "models/autoencoder_kl.ts", "models/bind.ts", "runs/reference_weights.ts"],
    code: latentsCode(published as unknown as Parameters<typeof latentsCode>[0]),
  },
  teacher: { loads: ["runs/teacher_training.ts", "models/tarflow.ts"], code: teacher },
  coupling: {
    loads: [
      "runs/coupling.ts",
      "couplings/normalizing_flow.ts",
      "models/tarflow.ts",
      "models/bind.ts",
      "training/weights.ts",
    ],
    code: coupling,
  },
  "coupling without a teacher": { loads: ["couplings/semidiscrete.ts"], code: couplingCode("semidiscrete") },
  student: { loads: ["runs/student.ts", "models/sit.ts"], code: student },
  cell: { loads: ["runs/student_stages.ts", "metrics/classifier.ts", "metrics/reference_statistics.ts"], code: cell },
  "cell with Inception": {
    loads: ["runs/student_stages.ts", "metrics/inception.ts", "metrics/reference_statistics.ts"],
    code: [...student, ...cellCode("sit", inception, false)],
  },
  "held-out cell": { loads: ["runs/student_stages.ts", "runs/held_out.ts"], code: heldOut },
  teacherFigures: {
    loads: ["runs/teacher_figures.ts", "models/tarflow.ts", "models/bind.ts"],
    code: metrics.flatMap((metric) => teacherFiguresCode(metric, common)),
  },
  pictures: { loads: ["runs/pictures.ts"], code: [...cell, ...picturesCode] },
  latency: { loads: ["runs/latency.ts", "models/tarflow.ts", "models/sit.ts"], code: latencyCode("tarflow", "sit") },
};

const filesOf = async (entries: readonly Entry[]) => new Set((await codeFiles(entries)).map(([path]) => path));

for (const [kind, { loads, code }] of Object.entries(kinds)) {
  Deno.test(`every file that makes a number of a stage is in its key: ${kind}`, async () => {
    const files = await filesOf(code), loaded = await loadedWith(loads);
    const missing = [...loaded].filter(([path]) => !files.has(path) && !(path in apart));
    assertEquals(missing.map(([path, by]) => `${path}, imported by ${by}`), []);
  });
}

Deno.test("every exception is one: a file that some stage loads, and that is in no key", async () => {
  const loaded = new Set<string>(), coded = new Set<string>();
  for (const { loads, code } of Object.values(kinds)) {
    for (const path of (await loadedWith(loads)).keys()) loaded.add(path);
    for (const path of await filesOf(code)) coded.add(path);
  }
  assertEquals(Object.keys(apart).filter((path) => !loaded.has(path) || coded.has(path)), []);
});

Deno.test("noise, grey levels, mirroring and batches are in the keys of what is made with them", async () => {
  const images = ["data/pixel_dataset.ts", "data/quantise.ts", "data/subset.ts"];
  const expected: readonly (readonly [readonly Entry[], readonly string[]])[] = [
    [teacher, [...images, "data/add_noise.ts", "runs/train.ts"]],
    [coupling, [...images, "data/add_noise.ts", "models/bind.ts"]],
    [studentCode("sit"), ["training/student_batches.ts", "runs/train.ts", "training/optimizer.ts"]],
    [cellCode("sit", features, false), [...images, "metrics/curvature.ts", "models/bind.ts", "metrics/frechet.ts"]],
    [teacherFiguresCode("zDistance", common), ["data/add_noise.ts", "couplings/sigma.ts"]],
    [referenceCode(inception), [...images, "metrics/resize.ts"]],
  ];
  for (const [code, paths] of expected) {
    const files = await filesOf(code);
    assertEquals(paths.filter((path) => !files.has(path)), []);
  }
});

Deno.test("versions of packages that compute numbers are in the keys, and no others", async () => {
  const found = new Map(await codeFiles([...teacher, ...cell]));
  assertMatch(found.get("@tensorflow/tfjs")!, /tfjs@\d\S+ .*tfjs-backend-wasm@\d\S+ .*tfjs-node-gpu@\d/);
  assertMatch(found.get("ml-matrix")!, /ml-matrix@\d/);
  assertEquals([...found.keys()].filter((name) => !name.endsWith(".ts")), ["@tensorflow/tfjs", "ml-matrix"]);
});

Deno.test("a key holds no code of other stages, nor of what was not chosen", async () => {
  const training = await filesOf([...teacher, ...student]);
  for (const path of training) assert(!/^(reports|metrics|sampling|recipes)\//.test(path), path);
  assert(!training.has("couplings/semidiscrete.ts"));
  assert(!(await filesOf(latencyCode("tarflow", "sit"))).has("training/trainer.ts"));
  assert(!(await filesOf(teacherFiguresCode("likelihood", common))).has("metrics/frechet.ts"));
});
