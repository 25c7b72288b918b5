import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import sharp from "sharp";
import { hashOf } from "../../../lib/core/hash.ts";
import { Problem } from "../../../lib/core/problem.ts";
import { boxResize } from "../../../lib/data/imagenet/box_resize.ts";
import { decodeRgb } from "../../../lib/data/imagenet/image_decode.ts";
import { readImageHeader } from "../../../lib/data/imagenet/image_header.ts";
import { prepareImage } from "../../../lib/data/imagenet/prepare_image.ts";
import golden from "../../golden/images.json" with { type: "json" };
import { concat } from "../../concat.ts";
import { jpeg, picture, text } from "./small_imagenet.ts";

// Files that Pillow 13 wrote, with the SHA-256 of `.convert("RGB")` and of that in `.resize((64, 64), Image.BOX)`.
for (const { name, file, width, height, rgb, box64 } of golden) {
  Deno.test(`${name}: decoded and resized as Pillow does, bit by bit`, async () => {
    const bytes = Uint8Array.fromBase64(file), header = readImageHeader(bytes);
    assertEquals([header.width, header.height, header.trailing], [width, height, 0]);
    const pixels = await decodeRgb(bytes, header);
    assertEquals(hashOf(pixels), rgb);
    assertEquals(hashOf(boxResize({ width, height, pixels }, 64, 64).pixels), box64);
  });
}

const file = (name: string) => Uint8Array.fromBase64(golden.find((one) => one.name === name)!.file);
const photo = await jpeg(48, 40, 3), png = file("PNG");
const raw = { width: 12, height: 10, channels: 3 } as const;
const changed = (bytes: Uint8Array, at: number, ...values: number[]) => {
  const copy = bytes.slice();
  copy.set(values, at);
  return copy;
};
/** A PNG chunk with a checksum of zeros: walking over chunks does not verify it. */
const chunk = (type: string, data: Uint8Array) =>
  concat([Uint8Array.of(0, 0, 0, data.length), text(type), data, new Uint8Array(4)]);
const frame = photo.findIndex((byte, i) => byte === 0xFF && (photo[i + 1] === 0xC0 || photo[i + 1] === 0xC2));
const sixteenBits = await sharp(new Uint16Array(360).fill(700), { raw }).toColourspace("rgb16").png().toBuffer();
const formats = { webp: "a WebP", gif: "a GIF", tiff: "a TIFF" } as const;
const others = await Promise.all(
  Object.entries(formats).map(async ([format, words]) =>
    [
      `an image in ${format}`,
      await sharp(picture(12, 10, 3, 1), { raw }).toFormat(format as keyof typeof formats).toBuffer(),
      `is ${words}, expected JPEG or PNG`,
    ] as const
  ),
);

const faults: readonly (readonly [string, Uint8Array, string])[] = [
  ["an empty file", new Uint8Array(), "is empty"],
  ["text", text("not an image at all"), "is no image, expected JPEG or PNG"],
  ["a BMP", text("BM\0\0\0\0\0\0\0\0\0\0\0\0"), "is a BMP, expected JPEG or PNG"],
  ["a zip archive", text("PK\x03\x04......"), "is a zip archive, expected JPEG or PNG"],
  ...others,
  ["half a JPEG", photo.subarray(0, photo.length / 2), "is cut short: the JPEG has no end"],
  ["a JPEG without its last 2 bytes", photo.subarray(0, -2), "is cut short: the JPEG has no end"],
  ["a JPEG of width 0", changed(photo, frame + 7, 0, 0), "says that it is 0x40"],
  ["a JPEG of 12 bits", changed(photo, frame + 4, 12), "has 12 bits a sample, expected 8"],
  ["a JPEG of 2 components", changed(photo, frame + 9, 2), "has 2 components, expected 1, 3 or 4"],
  ["a lossless JPEG", changed(photo, frame + 1, 0xC3), "is a lossless or hierarchical JPEG, expected baseline"],
  ["a JPEG that says 65000x65000", changed(photo, frame + 5, 253, 232, 253, 232), "has 65000x65000 pixels, expected"],
  ["half a PNG", png.subarray(0, png.length / 2), "is cut short: the PNG has no end"],
  ["a PNG without its end", png.subarray(0, -12), "is cut short: the PNG has no end"],
  ["a PNG of width 0", changed(png, 16, 0, 0, 0, 0), "says that it is 0x14"],
  ["a PNG that says 30000x30000", changed(png, 16, 0, 0, 117, 48, 0, 0, 117, 48), "has 30000x30000 pixels"],
  ["a PNG of 16 bits", sixteenBits, "has 16 bits a sample, expected 8"],
  ["an animated PNG", concat([png.subarray(0, 33), chunk("acTL", new Uint8Array(8)), png.subarray(33)]), "is animated"],
  ["a PNG without a picture", concat([png.subarray(0, 33), png.subarray(-12)]), "has no picture in it"],
  ["a PNG with a wrong checksum", changed(png, png.length - 14, png.at(-14)! ^ 1), "cannot be decoded"],
  ["a PNG with damaged data", changed(png, 60, png[60]! ^ 255), "cannot be decoded"],
];

for (const [name, bytes, words] of faults) {
  Deno.test(`${name} is named, never decoded`, async () => {
    const made = await prepareImage({ name: "x.JPEG", coded: bytes }, 64);
    assert("fault" in made && made.fault.startsWith(words), JSON.stringify(made).slice(0, 200));
  });
}

const unusual: readonly (readonly [string, string, Uint8Array, readonly string[]])[] = [
  ["an upright RGB JPEG", "x.JPEG", photo, []],
  ["a JPEG with restarts", "x.jpg", file("4:4:4 with restarts"), []],
  ["a progressive JPEG", "x.jpeg", file("progressive 4:2:2"), []],
  ["an RGB PNG", "x.png", png, []],
  ["a grey JPEG", "x.JPEG", file("grey"), ["grey"]],
  ["a CMYK JPEG", "x.JPEG", file("CMYK"), ["CMYK"]],
  ["a YCCK JPEG", "x.JPEG", file("YCCK"), ["CMYK"]],
  ["a turned JPEG", "x.JPEG", file("turned by Exif"), ["turned by Exif"]],
  ["a PNG named .JPEG", "x.JPEG", png, ["named as another format"]],
  ["a JPEG named .png", "x.png", photo, ["named as another format"]],
  ["a PNG with alpha", "x.png", file("PNG with alpha"), ["with an alpha channel"]],
  ["a PNG with a palette", "x.png", file("PNG with a palette"), ["with a palette"]],
  ["a PNG in black and white", "x.png", file("PNG in grey of 1 bit"), ["grey"]],
  ["a PNG with a zip behind it", "x.png", concat([png, text("PK\x03\x04")]), ["followed by other bytes"]],
  ["a JPEG with a JPEG behind it", "x.jpg", concat([photo, photo]), ["followed by other bytes"]],
];

for (const [name, path, bytes, expected] of unusual) {
  Deno.test(`${name} is ${expected.length === 0 ? "plain" : `told: ${expected}`}`, async () => {
    const made = await prepareImage({ name: path, coded: bytes }, 64);
    assert("pixels" in made, JSON.stringify(made).slice(0, 200));
    assertEquals([made.unusual, made.pixels.length], [expected, 3 * 64 * 64]);
  });
}

Deno.test("every proper beginning of a JPEG or a PNG is refused", () => {
  for (const bytes of [file("baseline 4:2:0"), file("progressive 4:2:2"), png]) {
    for (let length = 0; length < bytes.length; length++) {
      assertThrows(() => readImageHeader(bytes.subarray(0, length)), Problem);
    }
  }
});

Deno.test("no damage to a file makes its header or its decoding anything but an answer or a Problem", async () => {
  const damage = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 6 });
  const sources = [file("baseline 4:2:0"), file("progressive 4:2:2"), file("CMYK"), png, file("PNG with a palette")];
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...sources), damage, async (source, changes) => {
      const bytes = source.slice();
      for (const [at, mask] of changes) bytes[at % bytes.length]! ^= mask;
      const made = await prepareImage({ name: "x.jpg", coded: bytes }, 8);
      assert("fault" in made ? made.fault.length > 0 : made.pixels.length === 3 * 8 * 8);
    }),
    { numRuns: 300 },
  );
});

Deno.test("a JPEG whose coded data runs into a wrong marker is damaged, not smoothed over", async () => {
  const bytes = await jpeg(200, 150, 9), cut = Math.floor(bytes.length / 2);
  const broken = concat([bytes.subarray(0, cut), Uint8Array.of(0xFF, 0xD3), bytes.subarray(cut)]);
  await assertRejects(() => decodeRgb(broken, readImageHeader(broken)), Problem, "cannot be decoded");
});
