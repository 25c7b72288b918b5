import { type Verdict, verdicts } from "../../results/compare.ts";
import { countVerdicts, type ResultDiff } from "../../results/diff.ts";
import { leftAligned, remarks, shownResults, tableOf } from "../diff.ts";
import { missing } from "../sections.ts";
import { anchor } from "./anchor.ts";
import { Measured } from "./figure_table.tsx";
import type { Comparison } from "./types.ts";

export const comparisonAnchor = "diff";

/** What changed between two states of the results: old, new, and whether it is more than noise. */
export function ComparisonPart({ comparison: { diff, shown } }: { readonly comparison: Comparison }) {
  const results = shownResults(diff, false);
  return (
    <section class="comparison" aria-labelledby={comparisonAnchor}>
      <h2 id={comparisonAnchor}>
        <span class="name">diff</span> {diff.before.name} → {diff.after.name}
      </h2>
      {results.length === 0 && <p>No figure changed.</p>}
      {results.map((result) => <Compared result={result} shown={shown} />)}
    </section>
  );
}

interface ComparedProps {
  readonly result: ResultDiff;
  readonly shown: boolean;
}

function Compared({ result, shown }: ComparedProps) {
  const { place, after } = result;
  const { head, rows } = tableOf(result, false);
  const verdict = head.indexOf("verdict"), now = head.indexOf("new");
  const groups = Map.groupBy(rows, (cells) => cells[verdict] as Verdict);
  const title = anchor(comparisonAnchor, place);
  const kind = (column: number) => leftAligned.has(head[column]!) ? undefined : "number";
  const drawn = (cells: readonly string[], column: number) => {
    const text = <Measured text={cells[column]!} />;
    const linked = shown && after && column === now && cells[column] !== missing;
    return linked ? <a href={`#${anchor(after.place, cells[0]!)}`}>{text}</a> : text;
  };
  return (
    <details class="table" open>
      <summary>
        <h4 id={title}>{place}</h4> <span class="summary">{counted(result)}</span>
      </summary>
      <ul class="notes">{remarks(result, false).map((remark) => <li>{remark}</li>)}</ul>
      {rows.length > 0 && (
        <div class="scroll" role="region" tabindex={0} aria-labelledby={title}>
          <table>
            <thead>
              <tr>{head.map((text, column) => <th scope="col" class={kind(column)}>{text}</th>)}</tr>
            </thead>
            {verdicts.filter((one) => groups.has(one)).map((one) => (
              <tbody>
                {groups.get(one)!.map((cells) => (
                  <tr>
                    <th scope="row">{cells[0]}</th>
                    {cells.slice(1).map((_, i) => <td class={kind(i + 1)}>{drawn(cells, i + 1)}</td>)}
                  </tr>
                ))}
              </tbody>
            ))}
          </table>
        </div>
      )}
    </details>
  );
}

/** `3 better, 1 worse, 200 same`. */
function counted(result: ResultDiff): string {
  const counts = countVerdicts([result]);
  return verdicts.filter((verdict) => counts[verdict] > 0).map((verdict) => `${counts[verdict]} ${verdict}`).join(", ");
}
