import { rowByRow, type Tensor, tf, trace, type Traced } from "../engine/mod.ts";
import { unpack } from "../nn/parameters.ts";
import { guidedVelocity } from "./guided_velocity.ts";
import type {
  Autoencoder,
  AutoencoderDefinition,
  FlowDefinition,
  NormalizingFlow,
  VelocityDefinition,
  VelocityModel,
} from "./types.ts";

interface TracedFlow {
  readonly encode: Traced<{ flat: Tensor; data: Tensor; labels: Tensor }, { noise: Tensor; logDeterminant: Tensor }>;
  readonly denoise: Traced<
    { flat: Tensor; noisy: Tensor; labels: Tensor; noiseStd: Tensor },
    { data: Tensor }
  >;
}
type Point = Record<"flat" | "x" | "t" | "labels", Tensor>;
interface TracedVelocity {
  readonly plain: Traced<Point, { velocity: Tensor }>;
  readonly guided: Traced<Point & { weight: Tensor }, { velocity: Tensor }>;
}
interface TracedAutoencoder {
  readonly encode: Traced<{ flat: Tensor; images: Tensor }, { mean: Tensor; logVariance: Tensor }>;
  readonly decode: Traced<{ flat: Tensor; latents: Tensor }, { images: Tensor }>;
}

/** For what runs thousands of times at one batch size. */
const compiled = { compile: true } as const;

// One recording per definition, however many parameter vectors are bound to it.
const tracedFlows = new WeakMap<FlowDefinition, TracedFlow>();
const tracedVelocities = new WeakMap<VelocityDefinition, TracedVelocity>();
const tracedAutoencoders = new WeakMap<AutoencoderDefinition, TracedAutoencoder>();

/**
 * A flow with its parameters: the vector `flat` `[parameterCount]`, which the
 * caller owns and keeps alive for as long as it uses the flow.
 */
export function bindFlow(definition: FlowDefinition, flat: Tensor): NormalizingFlow {
  let traced = tracedFlows.get(definition);
  if (!traced) tracedFlows.set(definition, traced = traceFlow(definition));
  const { encode, denoise } = traced;
  return {
    encode: (data, labels) => encode({ flat, data, labels }),
    decode: (noise, labels, guidance) => {
      const params = tf.tidy(() => ({ ...unpack(flat, definition.specs) }));
      const data = definition.decode(params, noise, labels, guidance);
      tf.dispose(params);
      return data;
    },
    denoise: (noisy, labels, noiseStd) => {
      const std = tf.scalar(noiseStd);
      const { data } = denoise({ flat, noisy, labels, noiseStd: std });
      std.dispose();
      return data;
    },
  };
}

function traceFlow({ specs, encode, denoise }: FlowDefinition): TracedFlow {
  return {
    encode: trace(
      "flow_encode",
      ({ flat, ...rows }) =>
        rowByRow(rows, unpack(flat, specs), ({ data, labels, ...params }) => ({ ...encode(params, data, labels) })),
      compiled,
    ),
    denoise: trace("flow_denoise", ({ flat, noisy, labels, noiseStd }) => ({
      data: denoise(unpack(flat, specs), noisy, labels, noiseStd),
    })),
  };
}

/** A velocity model with its parameters, on the terms of `bindFlow`. */
export function bindVelocity(definition: VelocityDefinition, flat: Tensor): VelocityModel {
  let traced = tracedVelocities.get(definition);
  if (!traced) tracedVelocities.set(definition, traced = traceVelocity(definition));
  const { plain, guided } = traced;
  return {
    velocity: (x, t, labels) => plain({ flat, x, t, labels }).velocity,
    guided: (x, t, labels, weight) => guided({ flat, x, t, labels, weight }).velocity,
  };
}

function traceVelocity({ specs, velocity }: VelocityDefinition): TracedVelocity {
  return {
    plain: trace(
      "velocity",
      ({ flat, ...rows }) =>
        rowByRow(rows, unpack(flat, specs), ({ x, t, labels, ...params }) => ({
          velocity: velocity(params, x, t, labels),
        })),
      compiled,
    ),
    guided: trace(
      "guided_velocity",
      ({ flat, weight, ...rows }) =>
        rowByRow(rows, { weight, ...unpack(flat, specs) }, ({ weight, x, t, labels, ...params }) => ({
          velocity: guidedVelocity((...at) => velocity(params, ...at), x, t, labels, weight),
        })),
      compiled,
    ),
  };
}

/** An autoencoder with its parameters, on the terms of `bindFlow`. */
export function bindAutoencoder(definition: AutoencoderDefinition, flat: Tensor): Autoencoder {
  let traced = tracedAutoencoders.get(definition);
  if (!traced) {
    const { specs, encode, decode } = definition;
    traced = {
      encode: trace("autoencoder_encode", ({ flat, images }) => ({ ...encode(unpack(flat, specs), images) })),
      decode: trace("autoencoder_decode", ({ flat, latents }) => ({ images: decode(unpack(flat, specs), latents) })),
    };
    tracedAutoencoders.set(definition, traced);
  }
  const { encode, decode } = traced;
  return {
    encode: (images) => encode({ flat, images }),
    decode: (latents) => decode({ flat, latents }).images,
  };
}
