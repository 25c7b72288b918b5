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

/** Formats that are neither JPEG nor PNG, to name them: by the letters that stand at a place. */
const otherFormats: readonly (readonly [name: string, at: number, letters: string])[] = [
  ["a GIF", 0, "GIF8"],
  ["a WebP", 8, "WEBP"],
  ["a TIFF", 0, "II*\0"],
  ["a TIFF", 0, "MM\0*"],
  ["a BMP", 0, "BM"],
  ["a JPEG 2000", 4, "jP"],
  ["an AVIF or HEIF", 4, "ftyp"],
  ["a gzip archive", 0, "\x1F\x8B"],
  ["a zip archive", 0, "PK"],
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
  const named = otherFormats.find(([, at, letters]) => latin(bytes, at, at + letters.length) === letters);
  throw new Problem(`is ${named?.[0] ?? "no image"}, expected JPEG or PNG`);
}

/** Bytes as text, one character each. */
export function latin(bytes: Uint8Array, begin: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(begin, end));
}
