import { Problem } from "../../core/problem.ts";
import { parseJpegHeader } from "./jpeg_header.ts";
import { parsePngHeader } from "./png_header.ts";

/** What an image file says of itself, read before anything decodes it. */
export interface ImageHeader {
  readonly format: "JPEG" | "PNG";
  readonly width: number;
  readonly height: number;
  /** Bits a sample. */
  readonly bits: number;
  readonly colours: "grey" | "grey with alpha" | "RGB" | "RGB with alpha" | "palette" | "CMYK";
  /** More than one picture in the file. */
  readonly animated: boolean;
  /** Exif's orientation, 1 to 8; 1 is upright. */
  readonly orientation: number;
  /** Bytes after the end of the image. */
  readonly trailing: number;
}

/** First bytes of formats that are neither JPEG nor PNG, to name them. */
const otherFormats: readonly (readonly [string, RegExp])[] = [
  ["a GIF", /^GIF8/],
  ["a WebP", /^RIFF....WEBP/s],
  ["a TIFF", /^(II\*\0|MM\0\*)/],
  ["a BMP", /^BM/],
  ["a JPEG 2000", /^\0\0\0\x0CjP/],
  ["an AVIF or HEIF", /^....ftyp/s],
  ["a gzip archive", /^\x1F\x8B/],
  ["a zip archive", /^PK/],
];

/**
 * Reads the header of a JPEG or PNG and walks to its end, so that what a
 * decoder would bend in silence (a cut file, 16 bits, a second frame) is known.
 *
 * @throws {Problem} one clause without the file's name, for example `is a GIF, expected JPEG or PNG`
 */
export function readImageHeader(bytes: Uint8Array): ImageHeader {
  if (bytes.length === 0) throw new Problem("is empty");
  if (bytes[0] === 0xFF && bytes[1] === 0xD8) return parseJpegHeader(bytes);
  if (latin(bytes, 0, 8) === "\x89PNG\r\n\x1A\n") return parsePngHeader(bytes);
  const start = latin(bytes, 0, 16);
  const named = otherFormats.find(([, pattern]) => pattern.test(start))?.[0] ?? "no image";
  throw new Problem(`is ${named}, expected JPEG or PNG`);
}

/** Bytes as text, one character each. */
export function latin(bytes: Uint8Array, begin: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(begin, end));
}
