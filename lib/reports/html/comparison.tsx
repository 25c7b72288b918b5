import { type Change, type Verdict, verdicts } from "../../results/compare.ts";
import { type Figure, type Figures, parseFigureKey } from "../../results/figures.ts";
import { cell, missing } from "../sections.ts";
import { anchor } from "./anchor.ts";
import { Measured } from "./figure_table.tsx";
import type { ComparedResult, Comparison } from "./types.ts";

export const comparisonAnchor = "diff";

/** What differs between two states of the results: old, new, and whether it is more than noise. */
export function ComparisonPart({ comparison }: { readonly comparison: Comparison }) {
  const { before, after, shown, results } = comparison;
  return (
    <section class="comparison" aria-labelledby={comparisonAnchor}>
      <h2 id={comparisonAnchor}>
        <span class="name">diff</span> {before} → {after}
      </h2>
      {results.length === 0 && <p>No figure differs.</p>}
      {results.map((result) => <Compared result={result} shown={shown} />)}
    </section>
  );
}

function Compared({ result, shown }: { readonly result: ComparedResult; readonly shown: boolean }) {
  const { name, before, after, differences, changes } = result;
  const moved = changes.filter(({ verdict }) => verdict !== "same");
  const byVerdict = Map.groupBy(moved, ({ verdict }) => verdict);
  const title = anchor(comparisonAnchor, name);
  if (!before || !after) {
    return (
      <p class="table">
        <strong>{shown && after ? <a href={`#${anchor(name)}`}>{name}</a> : name}</strong>{" "}
        <span class="summary">{after ? "new" : "gone"}</span>
      </p>
    );
  }
  return (
    <details class="table" open={moved.length > 0}>
      <summary>
        <h4 id={title}>{name}</h4> <span class="summary">{summaryOf(changes)}</span>
      </summary>
      {differences.length > 0 && <ul class="notes">{differences.map((difference) => <li>{difference}</li>)}</ul>}
      {moved.length > 0 && (
        <div class="scroll" role="region" tabindex={0} aria-labelledby={title}>
          <table>
            <thead>
              <tr>
                <th scope="col">figure</th>
                <th scope="col" class="number">old</th>
                <th scope="col" class="number">new</th>
                <th scope="col" class="number">difference</th>
                <th scope="col" class="number">in standard errors</th>
                <th scope="col">verdict</th>
              </tr>
            </thead>
            {verdicts.filter((verdict) => byVerdict.has(verdict)).map((verdict) => (
              <tbody>
                {byVerdict.get(verdict)!.map((change) => (
                  <ChangedRow result={name} change={change} before={before} after={after} shown={shown} />
                ))}
              </tbody>
            ))}
          </table>
        </div>
      )}
    </details>
  );
}

interface ChangedRowProps {
  readonly result: string;
  readonly change: Change;
  readonly before: Figures;
  readonly after: Figures;
  readonly shown: boolean;
}

function ChangedRow({ result, change, before, after, shown }: ChangedRowProps) {
  const { key, difference, inStandardErrors, verdict } = change;
  const now = <Value of={change.after} in={after} figure={key} />;
  return (
    <tr>
      <th scope="row">{key}</th>
      <td class="number">
        <Value of={change.before} in={before} figure={key} />
      </td>
      <td class="number">{shown && change.after ? <a href={`#${anchor(result, key)}`}>{now}</a> : now}</td>
      <td class="number">{difference === undefined ? missing : signed(difference)}</td>
      <td class="number">{inStandardErrors === undefined ? missing : signed(Number(inStandardErrors.toFixed(1)))}</td>
      <td class={`verdict ${verdict.replaceAll(" ", "-")}`}>{verdict}</td>
    </tr>
  );
}

interface ValueProps {
  readonly of: Figure | undefined;
  readonly in: Figures;
  readonly figure: string;
}

function Value({ of, in: { metrics }, figure }: ValueProps) {
  return of ? <Measured text={cell(of, metrics[parseFigureKey(figure).metric]!)} /> : <>{missing}</>;
}

/** `3 better, 1 worse, 200 same`. */
function summaryOf(changes: readonly Change[]): string {
  const count = (verdict: Verdict) => changes.filter((change) => change.verdict === verdict).length;
  return verdicts.filter((verdict) => count(verdict) > 0).map((verdict) => `${count(verdict)} ${verdict}`).join(", ");
}

function signed(value: number): string {
  return value > 0 ? `+${value}` : `${value}`.replace("-", "−");
}
