/** A process of compiled_test.ts: calls one compiled function and prints its result; `replace` spoils the folder before. */
import { Problem } from "../../lib/core/problem.ts";
import { openEngine, tf, trace } from "../../lib/engine/mod.ts";

try {
  await openEngine("native");
  if (Deno.args[0] === "replace") {
    const folder = /directory=(\S+)/.exec(Deno.env.get("TF_XLA_FLAGS")!)![1]!;
    await Deno.remove(folder, { recursive: true });
    await Deno.writeTextFile(folder, "a file");
  }
  const body = ({ x }: { x: ReturnType<typeof tf.tensor> }) => ({ y: tf.matMul(x, tf.exp(x)).mean(1) });
  const { y } = trace("kept", body, { compile: true })({ x: tf.linspace(-1, 1, 256).reshape([16, 16]) });
  console.log([...y.dataSync()].join(" "));
} catch (error) {
  console.error((error as Error).message);
  Deno.exit(error instanceof Problem ? error.exitCode : 1);
}
