import { Problem } from "../../core/problem.ts";
import { boxResize, toPlanes } from "./box_resize.ts";
import { decodeRgb } from "./image_decode.ts";
import { readImageHeader } from "./image_header.ts";
import type { SourceImage } from "./source.ts";
import { faultOf, type Unusual, unusualOf } from "./verdict.ts";

/** An image as models see it, or why it cannot be. */
export type PreparedImage =
  | { readonly pixels: Uint8Array; readonly unusual: readonly Unusual[] }
  | { readonly fault: string };

/**
 * Decodes an image, makes it RGB and squashes it to `size` × `size`.
 *
 * @returns pixels `[3, size, size]`, 0 to 255; or what is wrong with it, as a clause without its name
 */
export async function prepareImage(image: SourceImage, size: number): Promise<PreparedImage> {
  if (image.fault !== undefined) return { fault: image.fault };
  if (image.pixels) return { pixels: image.pixels, unusual: [] };
  try {
    const header = readImageHeader(image.coded!);
    const fault = faultOf(header);
    if (fault !== undefined) return { fault };
    const { width, height } = header;
    const pixels = await decodeRgb(image.coded!, header);
    return {
      pixels: toPlanes(boxResize({ width, height, pixels }, size, size)),
      unusual: unusualOf(header, image.name),
    };
  } catch (error) {
    if (error instanceof Problem) return { fault: error.message };
    throw error;
  }
}
