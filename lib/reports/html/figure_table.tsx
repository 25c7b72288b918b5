import { missing, type Section } from "../sections.ts";
import { anchor, cellAnchor } from "./anchor.ts";

export interface FigureTableProps {
  /** `table4/desk`. */
  readonly result: string;
  readonly section: Section;
  /** Position among the result's tables. */
  readonly place: number;
  readonly open: boolean;
  /** Whether a figure is shown here for the first time, so that one cell alone carries its anchor. */
  readonly isFirst: (key: string, place: number) => boolean;
}

/** A table whose figures are links to their provenance; it scrolls sideways in its own frame. */
export function FigureTable({ result, section, place, open, isFirst }: FigureTableProps) {
  const { title, head, numbersFrom, groups, keys } = section;
  const id = anchor(result, `table ${place + 1}`);
  const kind = (column: number) => {
    if (column < numbersFrom) return undefined;
    if (isPaper(head[column]!)) return "number paper";
    return column === 1 && head[column] === "NFE" ? "number nfe" : "number";
  };
  return (
    <details class="table" open={open}>
      <summary>
        <h4 id={id}>{title}</h4>
      </summary>
      <div class="scroll" role="region" tabindex={0} aria-labelledby={id}>
        <table>
          <thead>
            <tr>{head.map((text, column) => <th scope="col" class={kind(column)}>{text}</th>)}</tr>
          </thead>
          {groups.map((rows, group) => (
            <tbody>
              {rows.map((cells, row) => (
                <tr>
                  {cells.map((text, column) => {
                    if (column < Math.max(1, numbersFrom)) return <th scope="row">{text}</th>;
                    const key = keys[group]?.[row]?.[column];
                    return (
                      <td class={kind(column)}>
                        {key === undefined
                          ? text
                          : <FigureLink result={result} figure={key} text={text} anchored={isFirst(key, place)} />}
                      </td>
                    );
                  })}
                </tr>
              ))}
            </tbody>
          ))}
        </table>
      </div>
    </details>
  );
}

/** Whether a column holds the paper's figures. */
export function isPaper(head: string): boolean {
  return /^paper\b/.test(head);
}

interface FigureLinkProps {
  readonly result: string;
  readonly figure: string;
  readonly text: string;
  readonly anchored: boolean;
}

function FigureLink({ result, figure, text, anchored }: FigureLinkProps) {
  if (text === missing) return <>{text}</>;
  return (
    <a href={`#${anchor(result, figure)}`} id={anchored ? cellAnchor(result, figure) : undefined}>
      <Measured text={text} />
    </a>
  );
}

/** `3.50 ± 0.04` with the spread toned down. */
export function Measured({ text }: { readonly text: string }) {
  const [value, spread] = text.split(" ± ");
  return spread === undefined ? <>{value}</> : (
    <>
      {value} <span class="spread">± {spread}</span>
    </>
  );
}
