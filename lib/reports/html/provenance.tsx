import type { ComponentChildren } from "preact";
import { count, duration } from "../../core/terminal.ts";
import { type Figure, type FigureKey, figureKey, parseFigureKey } from "../../results/figures.ts";
import { checkpointsOf, paperFigure } from "../../results/paper.ts";
import { fixed, round } from "../../results/rounding.ts";
import { cell, metricTitle } from "../sections.ts";
import { anchor, cellAnchor } from "./anchor.ts";
import { costOfRow, total } from "./cost.ts";
import { Measured } from "./figure_table.tsx";
import type { ResultReport } from "./types.ts";

/**
 * Where the figures come from: one card per row of the recipe, which says once
 * what its figures share and opens at the one that a link names.
 */
export function ProvenanceCards({ result }: { readonly result: ResultReport }) {
  const recipeRows = Object.keys(result.rows);
  const members = new Map<string, string[]>();
  for (const key of Object.keys(result.figures.figures)) {
    const row = recipeRow(parseFigureKey(key), recipeRows);
    members.set(row, [...members.get(row) ?? [], key]);
  }
  return <>{[...members].map(([row, keys]) => <RowCard result={result} row={row} keys={keys} />)}</>;
}

/** The row of the recipe that a figure belongs to: its own name, or the one before ` teacher`. */
function recipeRow({ row }: FigureKey, rows: readonly string[]): string {
  return rows.filter((name) => row === name || row.startsWith(`${name} `)).sort((a, b) => b.length - a.length)[0] ??
    row;
}

interface RowCardProps {
  readonly result: ResultReport;
  readonly row: string;
  readonly keys: readonly string[];
}

function RowCard({ result, row, keys }: RowCardProps) {
  const { name, provenance, environment, rows, figures, commands } = result;
  const source = rows[row];
  const names = Object.keys(rows);
  const costs = costOfRow(provenance?.seconds ?? {}, row, names);
  return (
    <aside class="provenance" aria-label={`Provenance of ${row}, ${name}`}>
      {keys.map((key) => <FigureCard result={result} figure={key} />)}
      <h4 class="row-name">{row}, {name}</h4>
      {result.stale !== undefined && <p class="stale">Stale: {result.stale}</p>}
      <dl>
        {source && (
          <Fact name="Recipe">
            {source.written !== undefined && <Place text={source.written} />}
            <pre tabindex={0} aria-label={`Row ${row} of the recipe`}>{source.text}</pre>
            as it ran: <Place text={source.resolved} />
          </Fact>
        )}
        {provenance && (
          <>
            <Fact name="Commit">
              <code>{provenance.commit}</code>
            </Fact>
            <Fact name="Date">
              <time dateTime={provenance.date}>{provenance.date.replace("T", " ").replace("Z", " UTC")}</time>
            </Fact>
          </>
        )}
        <Fact name={figures.caption.seeds.length === 1 ? "Seed" : "Seeds"}>{figures.caption.seeds.join(", ")}</Fact>
        {provenance && <Fact name="Engine">{provenance.engine}</Fact>}
        {environment && (
          <Fact name="Machine">
            <span title={environment.instructions?.join(" ")}>{environment.cpu}</span>, {environment.cores} cores,{" "}
            {environment.memory} GiB, {environment.system}; Deno {environment.deno}
          </Fact>
        )}
        {provenance && provenance.overrides.length > 0 && (
          <Fact name="Overrides">
            <code>{provenance.overrides.join(" ")}</code>
          </Fact>
        )}
        {costs.length > 0 && (
          <Fact name="Cost">
            {duration(total(costs))} in all
            <ul>
              {costs.map(({ kind, runs, seconds }) => (
                <li>
                  {kind}
                  {runs > 1 && ` × ${runs}`}: {duration(seconds)}
                </li>
              ))}
            </ul>
          </Fact>
        )}
        <Fact name="Again">
          <pre class="commands">{commands.join("\n")}</pre>
        </Fact>
      </dl>
    </aside>
  );
}

interface FigureCardProps {
  readonly result: ResultReport;
  readonly figure: string;
}

/** What is the figure's own. */
function FigureCard({ result, figure: text }: FigureCardProps) {
  const { name, figures, paper } = result;
  const key = parseFigureKey(text);
  const info = figures.metrics[key.metric]!;
  const figure = figures.figures[text]!;
  const published = paper && paperFigure(paper, text, checkpointsOf(figures));
  const where = [
    key.checkpoint !== undefined && `${count(key.checkpoint)} samples seen`,
    key.sampler,
    key.guidance,
  ].filter(Boolean).join(", ");
  return (
    <section class="figure" id={anchor(name, text)} tabindex={-1}>
      <a class="close" href={`#${cellAnchor(name, text)}`}>Close</a>
      <h4>{metricTitle(info)}</h4>
      <p class="value">
        <Measured text={cell(figure, info)} />
      </p>
      <p>{[key.row, where].filter(Boolean).join(", ")}</p>
      <dl>
        {published !== undefined && <Fact name="Paper">{published}</Fact>}
        {figure.perSeed && (
          <Fact name="Each seed">{perSeed(figure, figures.caption.seeds, round(figure, info).value)}</Fact>
        )}
        {figure.standardError !== undefined && (
          <Fact name="Error">
            {round(figure, info).standardError}, standard error {figure.perSeed ? "over seeds" : "of sampling"}
          </Fact>
        )}
        <Fact name="Samples">{figure.sampleCount}</Fact>
        <Fact name="Key">
          <code>{figureKey(key)}</code>
        </Fact>
      </dl>
    </section>
  );
}

/** `0: 5.2; 1: 4.8`, at the digits of the mean. */
function perSeed({ perSeed = [] }: Figure, seeds: readonly number[], mean: string): string {
  const digits = mean.split(".")[1]?.length ?? 0;
  return perSeed.map((value, i) => `${seeds[i] ?? i}: ${fixed(value, digits)}`).join("; ");
}

/** A file and line, to be broken between its parts. */
function Place({ text }: { readonly text: string }) {
  return (
    <code>
      {text.split(/(?<=\/)/).map((part) => (
        <>
          {part}
          <wbr />
        </>
      ))}
    </code>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
