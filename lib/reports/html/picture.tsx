import { Buffer } from "node:buffer";
import { decode } from "fast-png";
import { optimize, type PluginConfig } from "svgo";
import { Problem } from "../../core/problem.ts";
import { anchor } from "./anchor.ts";
import type { Picture, Sheet } from "./types.ts";

/**
 * Reads a picture of a result, `convergence-guided.svg` of `table4/desk`.
 *
 * @param rows what the rows of a sheet of samples show
 * @throws {Problem} when it is not what its ending says.
 */
export function openPicture(result: string, file: string, bytes: Uint8Array, rows: readonly string[] = []): Picture {
  const [, name = file, ending] = file.match(/^(.+)\.(svg|png)$/) ?? [];
  const title = `${name[0]!.toUpperCase()}${name.slice(1)}`.replaceAll("-", " ").replace(/^Nfe\b/, "NFE");
  const alt = `${title}, ${result.replaceAll("/", " ")}`;
  try {
    if (ending === "svg") {
      return { title, markup: inlineSvg(new TextDecoder().decode(bytes), anchor(result, name), alt) };
    }
    const { width, height } = decode(bytes);
    return { title, png: bytes, width, height, rows, alt: rows.length > 0 ? `${alt}; rows: ${rows.join("; ")}` : alt };
  } catch (error) {
    const reason = (error as Error).message.split("\n")[0];
    throw new Problem(`Cannot show results/${result}/${file}: ${reason}; run the experiment again`, { cause: error });
  }
}

/** A plot, or a sheet of samples with every pixel kept square. */
export function PictureFigure({ picture }: { readonly picture: Picture }) {
  const { title } = picture;
  if ("png" in picture) return <SheetFigure sheet={picture} />;
  return (
    <figure class="picture">
      <figcaption>{title}</figcaption>
      <div
        class="scroll"
        role="region"
        tabindex={0}
        aria-label={title}
        dangerouslySetInnerHTML={{ __html: picture.markup }}
      />
    </figure>
  );
}

/** The names of its rows stand beside them, whatever size the picture is shown at. */
function SheetFigure({ sheet: { title, alt, png, width, height, rows } }: { readonly sheet: Sheet }) {
  const source = `data:image/png;base64,${Buffer.from(png).toString("base64")}`;
  return (
    <figure class="picture">
      <figcaption>{title}</figcaption>
      <div class="sheet">
        {rows.length > 0 && <ol class="rows" aria-hidden="true">{rows.map((row) => <li>{row}</li>)}</ol>}
        <img src={source} alt={alt} width={width} height={height} />
      </div>
    </figure>
  );
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
  const { data } = optimize(text, { plugins });
  if (!data.startsWith("<svg")) throw new TypeError("expected an <svg> element");
  return data;
}
