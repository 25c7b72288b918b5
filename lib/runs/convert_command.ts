import { basename, resolve } from "node:path";
import { parseArgs } from "@std/cli";
import { hashFile } from "../core/hash.ts";
import { nearest, noOption, Problem } from "../core/problem.ts";
import { say } from "../core/terminal.ts";
import { inceptionReference } from "../metrics/inception_reference.ts";
import type { Reference } from "../models/reference_layout.ts";
import * as ofModels from "../models/references.ts";
import { parameterCount } from "../nn/parameters.ts";
import { toReference } from "../training/reference_tensors.ts";
import { writeSafetensors } from "../training/safetensors.ts";
import { writeWeights } from "../training/weights.ts";
import { type FoundWeights, readReferenceWeights, referenceMark } from "./reference_weights.ts";

const HELP = `deno task convert FROM TO --model MODEL

Turns published weights into ours, and ours into weights that the published code loads.

  FROM   a PyTorch file (.pt, .pth, .ckpt, .bin), of which nothing is executed, or a safetensors file
  TO     the safetensors file to write

  deno task convert SiT-XL-2-256.pt sit.safetensors --model sit
  deno task convert diffusion_pytorch_model.safetensors sd-vae/autoencoder.safetensors --model autoencoderKl
  deno task convert imagenet64.pth teacher.safetensors --model tarflow
  deno task convert .nfm/…/step-000100000.safetensors sit-reference.safetensors --model sit --size 32

A file that this project wrote becomes the reference's, every other becomes ours. The sizes are read from the tensors.

Models (--model)
  sit            SiT, whose time and sign run the other way: both are turned in the weights, and turned back
  tarflow        TarFlow
  autoencoderKl  Stable Diffusion's autoencoder (sd-vae-ft-mse), in the names of diffusers, old or new, or its authors'
  inception      the Inception network of FID, between pytorch-fid's .pth and safetensors; names stay

Options
  --weights NAME   which weights of a checkpoint, such as ema or model; the average (ema) if it has one
  --size N         sit, towards the reference: side of the images or latents, for its position embedding
  --learn-sigma    sit, towards the reference: with the variance output, as zeros, for code built with learn_sigma=True`;

const words = ["model", "weights", "size"] as const, switches = ["learn-sigma", "help"] as const;
const references: Readonly<Record<string, Reference>> = { ...ofModels, inception: inceptionReference };

/**
 * `deno task convert FROM TO --model MODEL`: weights from a reference's file to
 * ours or back. Prints what was found to stdout.
 *
 * @throws {Problem} for a word that it does not know, and for a file that is damaged or of another model
 */
export async function convertCommand(args: readonly string[]): Promise<void> {
  const given = parseArgs([...args], {
    string: words,
    boolean: switches,
    alias: { h: "help" },
    unknown: (word, key) => {
      if (key === undefined) return true;
      throw noOption("convert", word, [...words, ...switches]);
    },
  });
  if (given.help) return console.log(HELP);
  const [from, to, ...extra] = given._.map(String);
  if (from === undefined || to === undefined || extra.length > 0) {
    throw new Problem("convert expects two files, FROM and TO; see deno task convert --help");
  }
  if (!to.endsWith(".safetensors")) throw new Problem(`convert writes safetensors files, not ${to}: end its name so`);
  if (resolve(from) === resolve(to)) throw new Problem(`convert would overwrite ${from}: name another file to write`);
  const { weights, size: side } = given as { weights?: string; size?: string };
  const model = modelNamed(given.model as string | undefined);
  const size = side === undefined ? undefined : wholeNumber(side);
  const found = await readReferenceWeights(from, references[model]!, {
    ...(weights !== undefined && { weights }),
    ...(size !== undefined && { size }),
    ...(given["learn-sigma"] === true && { learnSigma: true }),
  });
  if (found.own && model === "sit" && size === undefined) {
    throw new Problem("SiT's files hold its position embedding: say --size, the side of its images or latents");
  }
  const source = { model, source: basename(from) };
  say(`writing ${to}`);
  if (found.own) {
    // "pt" is what the libraries around PyTorch want to see.
    await writeSafetensors(to, toReference(found.layout, found.flat), { ...source, ...referenceMark, format: "pt" });
  } else {
    await writeWeights(to, found.layout.specs, found.flat, source);
  }
  console.log(`${summary(found, from, to)}\nSHA-256 ${await hashFile(to)}`);
}

function summary({ layout, own, prefix }: FoundWeights, from: string, to: string): string {
  const parameters = parameterCount(layout.specs).toLocaleString("en");
  const where = prefix === "" ? from : `${prefix.replace(/[./]$/, "")} of ${from}`;
  return `${layout.model}: ${parameters} parameters\n${where} → ${to}, ${own ? "the reference's layout" : "ours"}`;
}

function modelNamed(word: string | undefined): string {
  const known = Object.keys(references);
  if (word !== undefined && known.includes(word)) return word;
  const meant = word && nearest(word, known);
  throw new Problem(
    `--model ${word ?? ""}: expected one of ${known.join(", ")}${meant ? `; did you mean ${meant}?` : ""}`,
  );
}

function wholeNumber(word: string): number {
  if (/^[1-9]\d{0,5}$/.test(word)) return Number(word);
  throw new Problem(`--size ${word}: expected a whole number above 0`);
}
