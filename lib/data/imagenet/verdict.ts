import type { ImageHeader } from "./image_header.ts";

/**
 * What a file can be besides an upright 8-bit RGB image under its own name: refused, or turned to RGB as Pillow's
 * convert("RGB") does. ImageNet has thousands in grey, 22 in CMYK and one PNG named .JPEG.
 */
export type Unusual =
  | "grey"
  | "CMYK"
  | "with an alpha channel"
  | "with a palette"
  | "named as another format"
  | "turned by Exif"
  | "followed by other bytes";

/** The most pixels of one image, Pillow's own bound against decompression bombs. */
export const mostPixels = 89_478_485;

/** What cannot be used whatever the options say, as a clause without the file's name; `undefined` for a sound image. */
export function faultOf({ width, height, bits, animated }: ImageHeader): string | undefined {
  if (animated) return "is animated, expected one picture";
  // Fewer are a palette's or a grey scale's, and exact in 8.
  if (bits > 8) return `has ${bits} bits a sample, expected 8`;
  return width * height > mostPixels ? `has ${width}x${height} pixels, expected at most ${mostPixels}` : undefined;
}

/** In what an image that can be decoded differs from an upright RGB file under its own name. */
export function unusualOf(header: ImageHeader, name: string): Unusual[] {
  const { colours } = header;
  const found: Unusual[] = [];
  if (colours === "grey" || colours === "grey with alpha") found.push("grey");
  if (colours === "CMYK") found.push("CMYK");
  if (colours.endsWith("alpha")) found.push("with an alpha channel");
  if (colours === "palette") found.push("with a palette");
  if (formatInName(name) !== undefined && formatInName(name) !== header.format) found.push("named as another format");
  if (header.orientation !== 1) found.push("turned by Exif");
  if (header.trailing > 0) found.push("followed by other bytes");
  return found;
}

function formatInName(name: string): string | undefined {
  const extension = /\.(\w+)$/.exec(name)?.[1]?.toLowerCase();
  if (extension === "jpg" || extension === "jpeg") return "JPEG";
  return extension === "png" ? "PNG" : undefined;
}
