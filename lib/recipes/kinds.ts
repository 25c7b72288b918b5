import * as z from "zod";
import * as couplings from "../couplings/mod.ts";
import * as datasets from "../data/mod.ts";
import * as autoencoders from "./autoencoder_options.ts";
import * as flows from "./flow_options.ts";
import * as velocities from "./velocity_options.ts";

/** What makes an export of a registry module a member: a strict zod object that reads its options. */
interface Member {
  readonly options: z.ZodObject;
}

/** The options of one member as a recipe writes them: `{ kind: name, ...options }`. */
type KindOf<Registry, Kind extends keyof Registry> = Registry[Kind] extends
  { options: infer Options extends z.ZodObject } ? { kind: Kind } & OptionsOf<z.output<Options>> : never;
/** An object without members comes out of zod as one whose every member is impossible. */
type OptionsOf<Output> = string extends keyof Output ? unknown : Output;
/** One case per member of a registry. */
export type KindsOf<Registry> = { [Kind in keyof Registry]: KindOf<Registry, Kind> }[keyof Registry];

/**
 * The schema of `{ kind: name, ...options }` over the members of a registry
 * module. The module namespace is the registry: an export with `options` is a
 * member, so a new one is one file and one export line there, and none here.
 */
function kindsOf<const Registry extends object>(registry: Registry): z.ZodType<KindsOf<Registry>> {
  const cases = Object.entries(registry).filter(([, member]) => isMember(member)).map(([kind, member]) => {
    const { shape, def } = (member as Member).options;
    return z.strictObject({ kind: z.literal(kind), ...shape }).check(...(def.checks ?? []) as never[]);
  });
  return z.discriminatedUnion("kind", cases as never) as unknown as z.ZodType<KindsOf<Registry>>;
}

function isMember(value: unknown): value is Member {
  return typeof value === "object" && value !== null && "options" in value && value.options instanceof z.ZodObject;
}

/** `data:` of a recipe, over the registry lib/data/mod.ts. */
export const dataKinds = kindsOf(datasets);
/** `autoencoder.model:`, over lib/models/autoencoders.ts. */
export const autoencoderKinds = kindsOf(autoencoders);
/** `coupling:` of a row, over the registry lib/couplings/mod.ts. */
export const couplingKinds = kindsOf(couplings);
/** `teacher.model:`, over lib/models/flows.ts. */
export const flowKinds = kindsOf(flows);
/** `student.model:`, over lib/models/velocities.ts. */
export const velocityKinds = kindsOf(velocities);
