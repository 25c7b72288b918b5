import { z } from "zod";
import { Problem } from "../core/problem.ts";
import { memberLines } from "./json.ts";

/** What each row of a sheet of samples shows, from the top, by file: `pictures.json`. Columns are seeds. */
export type PictureRows = Readonly<Record<string, readonly string[]>>;

const schema = z.record(z.string(), z.array(z.string()));

/** The text of `pictures.json`: one sheet a line. */
export const printPictures = (pictures: PictureRows): string => memberLines(pictures);

/** @throws {Problem} when the text is not what `printPictures` gives; `path` is its name in messages. */
export function parsePictures(path: string, text: string): PictureRows {
  try {
    return schema.parse(JSON.parse(text));
  } catch (error) {
    const reason = error instanceof z.ZodError ? "expected lists of names by file" : (error as Error).message;
    throw new Problem(`Cannot read ${path}: ${reason}; run the experiment again to write it anew`, { cause: error });
  }
}
