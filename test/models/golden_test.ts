import { assertAlmostEquals, assertEquals, assertLess } from "@std/assert";
import { type Tensor, tf, trace } from "../../lib/engine/mod.ts";
import { bindFlow, bindVelocity } from "../../lib/models/bind.ts";
import { fromReferenceConvention, sit } from "../../lib/models/sit.ts";
import { tarflow } from "../../lib/models/tarflow.ts";
import { type ParameterSpec, sizeOf, unpack } from "../../lib/nn/parameters.ts";
import { type ImageShape, patchify, unpatchify } from "../../lib/nn/patches.ts";
import { withGuidance } from "../../lib/sampling/guidance.ts";
import tarflowSmall from "../golden/tarflow-small.json" with { type: "json" };
import sitSmall from "../golden/sit-small.json" with { type: "json" };
import { fill, fillFlat, type GoldenParameter, relativeError } from "../golden/fill.ts";
import { testOnEngines } from "../engines.ts";

const tolerance = 1e-4;
type Scalar = ReturnType<typeof tf.scalar>;

/** Disposes what `body` makes. */
const tidily = (body: () => void) => () => tf.tidy(body);

/** Norm and first element of every named part of the flat gradient. */
function assertGradients(
  flat: ArrayLike<number>,
  specs: readonly ParameterSpec[],
  expected: Readonly<Record<string, { norm: number; first: number }>>,
): void {
  let offset = 0;
  for (const { name, shape } of specs) {
    const size = sizeOf(shape);
    const part = Array.from({ length: size }, (_, i) => flat[offset + i]!);
    offset += size;
    const { norm, first } = expected[name]!;
    assertAlmostEquals(Math.hypot(...part), norm, tolerance * norm, name);
    assertAlmostEquals(part[0]!, first, tolerance * norm / Math.sqrt(size), name);
  }
}

function assertSameSpecs(specs: readonly ParameterSpec[], params: readonly GoldenParameter[]): void {
  assertEquals(specs.map(({ name, shape }) => [name, shape]), params.map(({ name, shape }) => [name, shape]));
}

function tarflowCase() {
  const { config, head_dim, seed, batch, params } = tarflowSmall;
  const shape: ImageShape = [config.in_channels, config.img_size, config.img_size];
  const blocks = Array(config.num_blocks).fill(config.layers_per_block);
  const options = { patch: config.patch_size, width: config.channels, headWidth: head_dim, blocks };
  const definition = tarflow(options, shape, config.num_classes);
  const flat = tf.tensor1d(fillFlat(params));
  const data = tf.tensor(fill(`${seed}/x`, [batch, ...shape], 1, 0), [batch, ...shape]);
  const noise = tf.tensor(fill(`${seed}/noise`, tarflowSmall.z.shape, 1.5, 0), tarflowSmall.z.shape);
  return {
    definition,
    flow: bindFlow(definition, flat),
    flat,
    data,
    labels: tf.tensor1d(tarflowSmall.y, "int32"),
    noise: unpatchify(noise, config.patch_size, shape),
    sampleLabels: tf.tensor1d(tarflowSmall.sample_y, "int32"),
    dimensions: sizeOf(shape),
    patch: config.patch_size,
  };
}

testOnEngines(
  "tarflow encodes as the reference does, the dropped label included",
  tidily(() => {
    const { definition, flow, data, labels, dimensions, patch } = tarflowCase();
    assertSameSpecs(definition.specs, tarflowSmall.params);
    const { noise, logDeterminant } = flow.encode(data, labels);
    assertLess(relativeError(patchify(noise, patch).dataSync(), tarflowSmall.z.data), tolerance);
    const perDimension = logDeterminant.dataSync().map((value) => value / dimensions);
    assertLess(relativeError(perDimension, tarflowSmall.logdet.data), tolerance);
  }),
);

testOnEngines(
  "tarflow has the reference's gradients in every parameter and in the data",
  tidily(() => {
    const { definition, flat, data, labels, dimensions } = tarflowCase();
    const gradients = trace("tarflow_golden_gradients", ({ flat, data, labels }) => {
      const loss = (flat: Tensor, data: Tensor) => {
        const { noise, logDeterminant } = definition.encode(unpack(flat, definition.specs), data, labels!);
        const total = tf.sub(tf.mul(tf.sum(tf.square(noise)), 0.5), tf.sum(logDeterminant));
        return tf.div(total, dimensions * data.shape[0]!) as Scalar;
      };
      const { value, grads } = tf.valueAndGrads(loss as (...args: Tensor[]) => Scalar)([flat!, data!]);
      return { value, flat: grads[0]!, data: grads[1]! };
    });
    const result = gradients({ flat, data, labels }) as { value: Tensor; flat: Tensor; data: Tensor };
    assertAlmostEquals(result.value.dataSync()[0]!, tarflowSmall.loss, tolerance * tarflowSmall.loss);
    assertGradients(result.flat.dataSync(), definition.specs, tarflowSmall.grad);
    assertLess(relativeError(result.data.dataSync(), tarflowSmall.grad_x.data), tolerance);
  }),
);

testOnEngines(
  "tarflow decodes as the reference does, with each kind of guidance and without, and denoises by one score step",
  tidily(() => {
    const { flow, data, noise, sampleLabels } = tarflowCase();
    assertLess(relativeError(flow.decode(noise, sampleLabels).dataSync(), tarflowSmall.reverse_plain.data), tolerance);
    for (const { guidance, what, annealed, attn_temp, x } of tarflowSmall.reverse_guided) {
      const parts = what as "a" | "b" | "ab";
      const guided = { weight: 1 + guidance, annealed, parts, temperature: attn_temp };
      assertLess(relativeError(flow.decode(noise, sampleLabels, guided).dataSync(), x.data), tolerance);
    }
    const { noise_std, x } = tarflowSmall.denoise;
    assertLess(relativeError(flow.denoise(data, sampleLabels, noise_std).dataSync(), x.data), tolerance);
  }),
);

function sitCase() {
  const { config, seed, batch, params, y } = sitSmall;
  const shape: ImageShape = [config.in_channels, config.input_size, config.input_size];
  const options = { patch: config.patch_size, width: config.hidden_size, depth: config.depth, heads: config.num_heads };
  const definition = sit(options, shape, config.num_classes);
  return {
    definition,
    flat: tf.tensor1d(fillFlat(params)),
    x: tf.tensor(fill(`${seed}/x`, [batch, ...shape], 1.5, 0), [batch, ...shape]),
    t: tf.tensor1d(sitSmall.t),
    labels: tf.tensor1d(y.map((label) => label === config.num_classes ? -1 : label), "int32"),
  };
}

testOnEngines(
  "sit has the reference's velocities, guided and not, and its adapter turns time and sign round",
  tidily(() => {
    const { definition, flat, x, t, labels } = sitCase();
    assertSameSpecs(definition.specs, sitSmall.params);
    const model = bindVelocity(definition, flat);
    const velocity = model.velocity(x, t, labels);
    assertLess(relativeError(velocity.dataSync(), sitSmall.velocity.data), tolerance);
    for (const { cfg_weight, velocity_all_channels } of sitSmall.guided) {
      const guided = withGuidance(model, cfg_weight).velocity(x, t, labels);
      assertLess(relativeError(guided.dataSync(), velocity_all_channels.data), tolerance);
    }
    const ours = bindVelocity(fromReferenceConvention(definition), flat).velocity(x, tf.sub(1, t), labels);
    assertLess(relativeError(tf.neg(ours).dataSync(), sitSmall.velocity.data), tolerance);
  }),
);

testOnEngines(
  "sit has the reference's gradients in every parameter and in x",
  tidily(() => {
    const { definition, flat, x, t, labels } = sitCase();
    const gradients = trace("sit_golden_gradients", ({ flat, x, t, labels }) => {
      const loss = (flat: Tensor, x: Tensor) =>
        tf.mean(tf.square(definition.velocity(unpack(flat, definition.specs), x, t!, labels!))) as Scalar;
      const { value, grads } = tf.valueAndGrads(loss as (...args: Tensor[]) => Scalar)([flat!, x!]);
      return { value, flat: grads[0]!, x: grads[1]! };
    });
    const result = gradients({ flat, x, t, labels }) as { value: Tensor; flat: Tensor; x: Tensor };
    const { loss_mean_square, grad, grad_x_norm } = sitSmall;
    assertAlmostEquals(result.value.dataSync()[0]!, loss_mean_square, tolerance * loss_mean_square);
    assertGradients(result.flat.dataSync(), definition.specs, grad);
    assertAlmostEquals(Math.hypot(...result.x.dataSync()), grad_x_norm, tolerance * grad_x_norm);
  }),
);
