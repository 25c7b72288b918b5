import { duration } from "../../core/terminal.ts";
import { type Section, sectionsOf } from "../sections.ts";
import { captionLines } from "../table.ts";
import { anchor } from "./anchor.ts";
import { total } from "./cost.ts";
import { FigureTable, isPaper } from "./figure_table.tsx";
import { PictureFigure } from "./picture.tsx";
import { ProvenanceCards } from "./provenance.tsx";
import type { ExperimentReport, ResultReport } from "./types.ts";

/** Tables longer than this are folded, unless nothing else is there to see. */
const longTable = 24;
/** Sheets of samples to see without unfolding. */
const fewSheets = 4;

/** One table or figure of the paper: its claim, then a part per scale. */
export function Experiment({ experiment }: { readonly experiment: ExperimentReport }) {
  const { name, title, claim, results } = experiment;
  return (
    <section class="experiment" aria-labelledby={anchor(name)}>
      <h2 id={anchor(name)}>
        <span class="name">{name}</span> {title}
      </h2>
      {claim !== undefined && (
        <p class="claim">
          <span class="name">The paper claims</span> {claim}
        </p>
      )}
      {results.map((result, i) => <Result result={result} open={i === 0} />)}
    </section>
  );
}

function Result({ result, open }: { readonly result: ResultReport; readonly open: boolean }) {
  const { name, figures, paper } = result;
  const tables = sectionsOf(figures, paper).map((section, place) => ({ section, place, open: opens(section, place) }));
  const firstPlace = new Map<string, number>();
  for (const { section, place } of tables) {
    for (const key of section.keys.flat(2)) if (key !== undefined && !firstPlace.has(key)) firstPlace.set(key, place);
  }
  const draw = (folded: boolean) =>
    tables.filter((table) => table.open !== folded).map((table) => (
      <FigureTable
        result={name}
        {...table}
        isFirst={(key, place) => firstPlace.get(key) === place}
      />
    ));
  return (
    <>
      <details class="result" id={anchor(name)} open={open}>
        <summary>
          <h3>{figures.caption.scale}</h3> <Summary result={result} />
        </summary>
        <ul class="notes">
          {captionLines(figures, paper).map((line) => <li>{line.replace(/^- /, "")}</li>)}
        </ul>
        {draw(false)}
        <Pictures result={result} />
        {draw(true)}
      </details>
      <ProvenanceCards result={result} />
    </>
  );
}

/** Plots first, then sheets of samples; where there are many sheets, all but the first are folded. */
function Pictures({ result: { pictures } }: { readonly result: ResultReport }) {
  const [plots, sheets] = [pictures.filter((one) => "markup" in one), pictures.filter((one) => "png" in one)];
  const shown = [...plots, ...sheets.slice(0, fewSheets)], folded = sheets.slice(fewSheets);
  const draw = (some: typeof pictures) => (
    <div class="pictures">{some.map((picture) => <PictureFigure picture={picture} />)}</div>
  );
  return (
    <>
      {shown.length > 0 && draw(shown)}
      {folded.length > 0 && (
        <details class="table">
          <summary>
            <h4>{folded.length} more sheets of samples</h4>
          </summary>
          {draw(folded)}
        </details>
      )}
    </>
  );
}

/** When, from what, at what cost: a line. */
function Summary({ result }: { readonly result: ResultReport }) {
  const { provenance, figures, stale } = result;
  const seeds = figures.caption.seeds;
  const facts = [
    figures.caption.data,
    `${seeds.length === 1 ? "seed" : "seeds"} ${seeds.join(", ")}`,
    ...(provenance
      ? [
        `commit ${shortCommit(provenance.commit)}`,
        provenance.date.slice(0, 10),
        duration(total(Object.values(provenance.seconds).map((seconds) => ({ seconds })))),
      ]
      : []),
  ];
  return (
    <span class="summary">
      {facts.join(" · ")}
      {stale !== undefined && (
        <>
          <strong class="stale">stale: {stale}</strong>
        </>
      )}
    </span>
  );
}

/** Seven digits, and whether files differed from it. */
function shortCommit(commit: string): string {
  return commit.replace(/^([0-9a-f]{7})[0-9a-f]+/, "$1");
}

function opens({ head, groups }: Section, place: number): boolean {
  return place === 0 || head.some(isPaper) && groups.flat().length <= longTable;
}
