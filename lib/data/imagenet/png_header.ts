import { Problem } from "../../core/problem.ts";
import { type ImageHeader, latin } from "./image_header.ts";

const colourTypes: Readonly<Record<number, ImageHeader["colours"]>> = {
  0: "grey",
  2: "RGB",
  3: "palette",
  4: "grey with alpha",
  6: "RGB with alpha",
};

/**
 * The header of a PNG (ISO/IEC 15948). Walks all chunks to IEND; their
 * checksums are the decoder's to verify.
 *
 * @throws {Problem} as `readImageHeader` does
 */
export function parsePngHeader(bytes: Uint8Array): ImageHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 33 || latin(bytes, 12, 16) !== "IHDR" || view.getUint32(8) !== 13) {
    throw new Problem("is cut short or damaged: the PNG does not begin with its header");
  }
  const width = view.getUint32(16), height = view.getUint32(20);
  if (width === 0 || height === 0) throw new Problem(`says that it is ${width}x${height}`);
  let colours = colourTypes[bytes[25]!];
  if (!colours) throw new Problem(`has PNG colour type ${bytes[25]}, which there is not`);
  let animated = false, data = false, at = 8;
  for (;;) {
    if (at + 12 > bytes.length) throw new Problem("is cut short: the PNG has no end");
    const type = latin(bytes, at + 4, at + 8);
    at += 12 + view.getUint32(at);
    if (type === "IEND" && at <= bytes.length) break;
    if (type === "acTL") animated = true;
    if (type === "IDAT") data = true;
    if (type === "tRNS" && colours === "RGB") colours = "RGB with alpha";
  }
  if (!data) throw new Problem("has no picture in it: the PNG holds no image data");
  const bits = bytes[24]!;
  return { format: "PNG", width, height, bits, colours, animated, orientation: 1, trailing: bytes.length - at };
}
