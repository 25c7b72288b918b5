import { Problem } from "../../core/problem.ts";
import { type ImageHeader, latin } from "./image_header.ts";

/** Frames that libjpeg decodes: baseline, extended, progressive, the last two arithmetically coded too. */
const decodable = new Set([0xC0, 0xC1, 0xC2, 0xC9, 0xCA]);
const isFrame = (marker: number) => marker >= 0xC0 && marker <= 0xCF && ![0xC4, 0xC8, 0xCC].includes(marker);

/**
 * The header of a JPEG (ITU-T T.81, Annex B): size, precision and components
 * from its frame, orientation from Exif. Walks all scans to the end marker,
 * behind which a multi-picture file has its second picture.
 *
 * @throws {Problem} as `readImageHeader` does
 */
export function parseJpegHeader(bytes: Uint8Array): ImageHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let frame: { bits: number; height: number; width: number; components: number } | undefined;
  let orientation = 1, at = 2;
  for (;;) {
    at = markerFrom(bytes, at);
    const marker = bytes[at + 1]!;
    at += 2;
    if (marker === 0xD9) break;
    if (marker === 0x01) continue; // stands alone
    const length = at + 2 <= bytes.length ? view.getUint16(at) : 0;
    const end = at + length;
    if (length < 2 || end > bytes.length) throw cut();
    const segment = bytes.subarray(at + 2, end);
    if (isFrame(marker)) {
      if (!decodable.has(marker)) {
        throw new Problem("is a lossless or hierarchical JPEG, expected baseline or progressive");
      }
      if (frame) throw new Problem("has two frames in one JPEG");
      if (segment.length < 6) throw cut();
      frame = {
        bits: segment[0]!,
        height: view.getUint16(at + 3),
        width: view.getUint16(at + 5),
        components: segment[5]!,
      };
    } else if (marker === 0xE1 && latin(segment, 0, 6) === "Exif\0\0") {
      orientation = orientationOf(segment.subarray(6));
    } else if (marker === 0xDA && !frame) {
      throw new Problem("has a scan before its frame: the JPEG is damaged");
    }
    at = end;
  }
  if (!frame) throw new Problem("has no picture in it: the JPEG ends before its frame");
  const { bits, width, height, components } = frame;
  if (width === 0 || height === 0) throw new Problem(`says that it is ${width}x${height}`);
  const colours = ({ 1: "grey", 3: "RGB", 4: "CMYK" } as const)[components];
  if (!colours) throw new Problem(`has ${components} components, expected 1, 3 or 4`);
  return { format: "JPEG", width, height, bits, colours, animated: false, orientation, trailing: bytes.length - at };
}

/** Where the next marker stands: at `at`, or behind the coded data that starts there. */
function markerFrom(bytes: Uint8Array, at: number): number {
  for (;;) {
    at = bytes.indexOf(0xFF, at);
    if (at < 0 || at + 1 >= bytes.length) throw cut();
    const next = bytes[at + 1]!;
    // FF 00 is a coded FF, FF FF a filler, FF D0 to D7 a restart within a scan.
    if (next !== 0 && next !== 0xFF && !(next >= 0xD0 && next <= 0xD7)) return at;
    at += next === 0xFF ? 1 : 2;
  }
}

/** Tag 0x0112 of the first directory of a TIFF structure; 1 where there is none or it cannot be read, as readers do. */
function orientationOf(tiff: Uint8Array): number {
  if (tiff.length < 8) return 1;
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  const little = tiff[0] === 0x49;
  const directory = view.getUint32(4, little);
  if (directory + 2 > tiff.length) return 1;
  const entries = view.getUint16(directory, little);
  for (let i = 0; i < entries; i++) {
    const entry = directory + 2 + 12 * i;
    if (entry + 12 > tiff.length) return 1;
    if (view.getUint16(entry, little) !== 0x0112) continue;
    const value = view.getUint16(entry + 8, little);
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

const cut = () => new Problem("is cut short: the JPEG has no end");
