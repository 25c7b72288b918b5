import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { tf } from "../../lib/engine/mod.ts";
import { type BenchCaseReport, parseBench } from "../../lib/results/bench.ts";
import { multiplying } from "../../lib/runs/bench_subjects.ts";
import { engines, testOnEngines } from "../engines.ts";
import { openWorkspace } from "./workspace.ts";

async function bench(...args: string[]) {
  const workspace = await openWorkspace();
  const finished = await workspace.run("bench", ...args);
  await workspace.remove();
  return finished;
}

/** Stands where PyTorch would: answers as the project's script does, and computes nothing. */
const stand = `#!/bin/sh
while read -r line; do
  case "$line" in
    *threads*) echo '{"version": "0.0.0"}' ;;
    *decode*) echo '{"error": "TypeError: no such thing"}' ;;
    *) echo '{"processor": 0.25}' ;;
  esac
done
`;

Deno.test("bench times every case in every way beside PyTorch, leaks nothing, and keeps what it found", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, "found.json"), python = join(folder, "python");
    await Deno.writeTextFile(python, stand, { mode: 0o755 });
    const args = "--shapes tiny --ways eager,traced,wasm --rounds 2 --seconds 0.001 --quiet --against pytorch".split(
      " ",
    );
    const { code, out, err } = await bench(...args, "--python", python, "--out", path);
    assertEquals([code, err], [0, ""]);
    const report = parseBench(path, await Deno.readTextFile(path));
    assertEquals(await Deno.readTextFile(join(folder, "found.md")), out.trimEnd() + "\n");
    const names = report.cases.map(({ name }) => name);
    const students = ["FM", "SD-FM", "NFM", "NFM, 4 steps a pair", "NFM, pool"];
    assertEquals(names.slice(0, 6), [...students, "teacher"].map((name) => `train ${name}`));
    assertEquals(new Set(report.cases.map(({ leaked }) => leaked)), new Set([0]));
    for (const { name, variants, ratios } of report.cases) {
      assertStringIncludes(out, `| ${name} |`);
      const own = variants.traced;
      assert(own && !("failed" in own) && own.median > 0 && own.low <= own.median && own.median <= own.high, name);
      for (const ratio of Object.values(ratios)) assert(ratio.median > 0);
    }
    const decoding = report.cases.find(({ name }) => name === "decode teacher")!;
    assertEquals(decoding.variants["PyTorch"], { failed: "TypeError: no such thing" });
    const step = report.cases[0]!.variants["PyTorch"]!;
    assert(!("failed" in step) && step.processor === 250);
    assertEquals(report.pytorch, "0.0.0");
    assert(report.peakMegabytes > 0 && Object.values(report.start).every(({ median }) => median > 0));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("bench compares bfloat16 with PyTorch's", { ignore: !engines.includes("native") }, async () => {
  const folder = await Deno.makeTempDir();
  try {
    const python = join(folder, "python");
    await Deno.writeTextFile(python, stand, { mode: 0o755 });
    const args = "--shapes tiny --ways traced,bf16 --rounds 1 --seconds 0.001 --quiet --json".split(" ");
    const { code, out } = await bench(...args, "--cases", "train FM", "--against", "pytorch", "--python", python);
    assertEquals(code, 0);
    const [{ variants, ratios }] = parseBench("standard output", out).cases as [BenchCaseReport];
    assertEquals(Object.keys(ratios), ["bf16", "PyTorch", "torch.compile", "PyTorch bf16", "torch.compile bf16"]);
    const timeOf = (way: string) => (variants[way] as { median: number }).median;
    for (const [other, own] of [["bf16", "traced"], ["PyTorch", "traced"], ["PyTorch bf16", "bf16"]] as const) {
      assertAlmostEquals(ratios[other]!.median, timeOf(own) / timeOf(other), 1e-9, other);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

testOnEngines("multiplying() gives back all that it makes, in every call", async () => {
  const before = tf.memory();
  const subject = multiplying(64);
  const during = tf.memory().numTensors;
  for (const calls of [1, 7]) await subject.run(calls);
  assertEquals(tf.memory().numTensors, during);
  subject.dispose();
  assertEquals([tf.memory().numTensors, tf.memory().numBytes], [before.numTensors, before.numBytes]);
});

const mistakes: readonly (readonly [args: string[], message: string])[] = [
  [
    ["--shapes", "quik"],
    '--shapes quik: expected one of tiny, quick, desk, wide, large, paper, inception; did you mean "quick"?',
  ],
  [["--cases", "trian"], "--cases trian: expected one of train FM, train SD-FM"],
  [["--rounds", "0"], "--rounds 0: expected a number above 0"],
  [["--against", "jax"], "--against jax: expected one of pytorch"],
  [["table4"], 'bench takes options only; what is "table4"?'],
  [["--round", "3"], "There is no option --round; expected one of"],
  [
    ["--against", "pytorch", "--python", "/no/python", "--ways", "wasm"],
    "Cannot compare with PyTorch: /no/python is not installed",
  ],
];

for (const [args, message] of mistakes) {
  Deno.test(`bench ${args.join(" ")} is one line on standard error and exit 2`, async () => {
    const { code, out, err } = await bench(...args);
    assertEquals([code, out], [2, ""]);
    assertStringIncludes(err, message);
    assertEquals(err.trimEnd().split("\n").length, 1);
  });
}

Deno.test("bench compiles with XLA where asked, and prints JSON", async () => {
  const { code, out } = await bench(
    "--shapes",
    "tiny",
    "--cases",
    "decode",
    "--ways",
    "traced,xla",
    "--rounds",
    "1",
    "--seconds",
    "0.001",
    "--json",
    "--quiet",
  );
  assertEquals(code, 0);
  assertEquals(parseBench("standard output", out).cases.map(({ name }) => name), ["decode teacher"]);
});

Deno.test("bench --shapes inception times the features of FID and nothing else", async () => {
  const args = "--shapes inception --ways traced --rounds 1 --seconds 0.001 --json --quiet".split(" ");
  const { code, out } = await bench(...args);
  assertEquals(code, 0);
  const { cases } = parseBench("standard output", out);
  assertEquals(cases.map(({ name, samples, leaked }) => [name, samples, leaked]), [["Inception features", 16, 0]]);
});

Deno.test("bench --help teaches the shapes, the ways and PyTorch", async () => {
  const { code, out } = await bench("--help");
  assertEquals(code, 0);
  for (const word of ["deno task bench --against pytorch", "--shapes", "width 256, 49 tokens", "results/bench/"]) {
    assertStringIncludes(out, word);
  }
});
