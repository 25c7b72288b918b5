import { assert, assertEquals, assertGreater, assertThrows } from "@std/assert";
import { createRng } from "../../lib/core/rng.ts";
import { Problem } from "../../lib/core/problem.ts";
import { tf } from "../../lib/engine/mod.ts";
import { bindVelocity } from "../../lib/models/bind.ts";
import { sit, type SitOptions } from "../../lib/models/sit.ts";
import { initialize, parameterCount } from "../../lib/nn/parameters.ts";
import { fill, relativeError } from "../golden/fill.ts";
import { testOnEngines } from "../engines.ts";

const options: SitOptions = { patch: 2, width: 16, depth: 2, heads: 4 };

Deno.test("sit has as many trainable parameters as SiT-XL/4 on 64×64×3", () => {
  const { specs } = sit({ patch: 4, width: 1152, depth: 28, heads: 16 }, [3, 64, 64], 1000);
  assertEquals(parameterCount(specs), 674_890_032);
});

testOnEngines("sit starts as the zero field", () => {
  tf.tidy(() => {
    const definition = sit(options, [2, 4, 6], 3);
    const model = bindVelocity(definition, tf.tensor1d(initialize(definition.specs, createRng(1))));
    const x = tf.tensor(fill("x", [2, 2, 4, 6], 1, 0), [2, 2, 4, 6]);
    const velocity = model.velocity(x, tf.tensor1d([0.1, 0.9]), tf.tensor1d([0, -1], "int32"));
    assertEquals(velocity.shape, [2, 2, 4, 6]);
    assert(velocity.dataSync().every((value) => value === 0));
  });
});

testOnEngines("sit depends on x, t, label and timeScale, and bindVelocity keeps no tensors", () => {
  const shape = [2, 4, 4] as const;
  const definition = sit(options, shape, 3), scaled = sit({ ...options, timeScale: 1000 }, shape, 3);
  const flat = tf.tidy(() =>
    tf.concat(definition.specs.map(({ name, shape }) => tf.tensor1d(fill(name, shape, 0.3, 0))))
  );
  const x = tf.tensor(fill("x", [1, ...shape], 1, 0), [1, ...shape]), zero = tf.zerosLike(x);
  const early = tf.tensor1d([0.2]), late = tf.tensor1d([0.8]);
  const label = tf.tensor1d([2], "int32"), dropped = tf.tensor1d([-1], "int32");
  const { velocity } = bindVelocity(definition, flat);
  const before = tf.memory().numTensors;
  const base = velocity(x, early, label);
  assertEquals(tf.memory().numTensors, before + 1);
  const others = [
    velocity(zero, early, label),
    velocity(x, late, label),
    velocity(x, early, dropped),
    bindVelocity(scaled, flat).velocity(x, early, label),
  ];
  for (const other of others) assertGreater(relativeError(other.dataSync(), base.dataSync()), 1e-3);
  tf.dispose([base, others, flat, x, zero, early, late, label, dropped]);
});

Deno.test("sit says which option does not fit", () => {
  const bad = (change: Partial<SitOptions>, said: string) =>
    assertThrows(() => sit({ ...options, ...change }, [1, 4, 4], 3), Problem, said);
  bad({ patch: 3 }, "patch 3 does not divide images of 4×4");
  bad({ heads: 3 }, "3 heads do not divide width 16");
  bad({ width: 6, heads: 2 }, "width 6 is not a multiple of 4");
  bad({ depth: 0 }, "depth is 0");
});
