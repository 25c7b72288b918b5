import sharp from "sharp";
import { Problem } from "../../core/problem.ts";
import type { ImageHeader } from "./image_header.ts";

// Images are decoded one to a worker: threads within one image, and a cache of images, would only be in the way.
sharp.concurrency(1);
sharp.cache(false);

/**
 * An image as RGB bytes `[height, width, 3]`: bit by bit what Pillow's
 * `open(…).convert("RGB")` gives. Colour profiles and Exif's orientation are
 * ignored, as there; grey is repeated, alpha dropped, CMYK multiplied out.
 *
 * @param header as `readImageHeader` gives it
 * @throws {Problem} one clause without the file's name, when the coded data is damaged
 */
export async function decodeRgb(bytes: Uint8Array, { width, height, colours }: ImageHeader): Promise<Uint8Array> {
  const image = sharp(bytes, { ignoreIcc: true, failOn: "warning" });
  const raw = (colours === "CMYK" ? image.pipelineColourspace("cmyk").toColourspace("cmyk") : image).raw();
  const { data, info } = await raw.toBuffer({ resolveWithObject: true }).catch((cause) => {
    throw new Problem(`cannot be decoded: ${reason(cause)}`, { cause });
  });
  if (info.width !== width || info.height !== height) {
    throw new Problem(`says ${width}x${height} and decodes to ${info.width}x${info.height}`);
  }
  if (colours === "CMYK") return rgbOfCmyk(data);
  return info.channels === 4 ? withoutAlpha(data) : data;
}

/** Pillow's conversion: the colour left by each ink times that left by black, of 255, in rounded integers. */
function rgbOfCmyk(cmyk: Uint8Array): Uint8Array {
  const rgb = new Uint8Array(cmyk.length / 4 * 3);
  for (let from = 0, to = 0; from < cmyk.length; from += 4) {
    const light = 255 - cmyk[from + 3]!;
    for (let k = 0; k < 3; k++) {
      const product = cmyk[from + k]! * light + 128;
      rgb[to++] = light - (((product >> 8) + product) >> 8);
    }
  }
  return rgb;
}

function withoutAlpha(rgba: Uint8Array): Uint8Array {
  return rgba.filter((_, i) => i % 4 !== 3);
}

function reason(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  return text.split("\n")[0]!.replace(/^\w+: /, "");
}
