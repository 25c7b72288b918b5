import { Buffer } from "node:buffer";
import { decode } from "fast-png";
import { optimize, type PluginConfig } from "svgo";
import { anchor } from "./anchor.ts";
import type { Picture } from "./types.ts";

export interface PictureFigureProps {
  /** `table4/desk`. */
  readonly result: string;
  readonly picture: Picture;
}

/** A plot, or a sheet of samples. */
export function PictureFigure({ result, picture }: PictureFigureProps) {
  const { name } = picture;
  const title = titleOf(name);
  const description = `${title}, ${result.replaceAll("/", " ")}`;
  return (
    <figure class="picture">
      {"svg" in picture
        ? (
          <>
            <figcaption>{title}</figcaption>
            <div
              class="scroll"
              role="region"
              tabindex={0}
              aria-label={title}
              // Written by svgo: no scripts, no style sheets, no event handlers.
              dangerouslySetInnerHTML={{ __html: inlineSvg(picture.svg, anchor(result, name), description) }}
            />
          </>
        )
        : <Sheet title={title} description={description} png={picture.png} />}
    </figure>
  );
}

interface SheetProps {
  readonly title: string;
  readonly description: string;
  readonly png: Uint8Array;
}

/** A sheet of samples, every pixel kept square; what its rows and columns are, where the file says so. */
function Sheet({ title, description, png }: SheetProps) {
  const { width, height, text } = decode(png);
  const said = text["Description"];
  return (
    <>
      <figcaption>
        {title}
        {said !== undefined && <span class="said">{said}</span>}
      </figcaption>
      <img
        src={`data:image/png;base64,${Buffer.from(png).toString("base64")}`}
        alt={said === undefined ? description : `${description}: ${said}`}
        width={width}
        height={height}
      />
    </>
  );
}

/** `Convergence guided` of `convergence-guided`. */
function titleOf(name: string): string {
  return `${name[0]!.toUpperCase()}${name.slice(1)}`.replaceAll("-", " ");
}

/**
 * An SVG file as markup within a page: its `id`s begin with `prefix`, so that
 * several stand on one page; scripts, event handlers and style sheets are taken
 * out, for the page has its own.
 *
 * @throws {Error} when the text is not SVG.
 */
export function inlineSvg(text: string, prefix: string, description: string): string {
  const plugins: PluginConfig[] = [
    "removeXMLProcInst",
    "removeDoctype",
    "removeComments",
    "removeScripts",
    "removeStyleElement",
    "convertStyleToAttrs",
    { name: "prefixIds", params: { prefix, delim: "/", prefixClassNames: false } },
    { name: "addAttributesToSVGElement", params: { attributes: [{ role: "img", "aria-label": description }] } },
  ];
  return optimize(text, { plugins }).data;
}
