import { readNpz } from "./chrabaszcz.ts";
import { readFolder } from "./folder.ts";
import { readParquet } from "./parquet_shards.ts";
import type { Piece, SourceImage } from "./source.ts";
import { readTar } from "./tar_shards.ts";

/** The images of a piece in order, whatever it lies in. */
export function readPiece(piece: Piece): AsyncGenerator<SourceImage> {
  switch (piece.layout) {
    case "folder":
      return readFolder(piece);
    case "webdataset":
      return readTar(piece);
    case "parquet":
      return readParquet(piece);
    case "npz":
      return readNpz(piece);
  }
}
