import { createHash } from "node:crypto";
import { renderToStaticMarkup } from "preact-render-to-string";
import { anchor } from "./anchor.ts";
import { comparisonAnchor, ComparisonPart } from "./comparison.tsx";
import { Experiment } from "./experiment.tsx";
import css from "./style.css" with { type: "text" };
import type { Report } from "./types.ts";

/** Nothing is fetched and nothing runs: one style sheet, known by its hash, and pictures within the page. */
export const contentSecurityPolicy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash("sha256").update(css).digest("base64")}'`,
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

/** The report as one HTML file that needs nothing else. The same report, the same bytes. */
export function renderReport(report: Report): string {
  return `<!doctype html>\n${renderToStaticMarkup(<Page report={report} />)}\n`;
}

function Page({ report }: { readonly report: Report }) {
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content={contentSecurityPolicy} />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>Flow Matching via Distilled Normalizing Flows: reproduced</title>
        <link rel="icon" href="data:," />
        <style dangerouslySetInnerHTML={{ __html: css }} />
      </head>
      <body>
        <header>
          <h1>The Coupling Within, reproduced</h1>
          <p>
            “Flow Matching via Distilled Normalizing Flows”, arXiv 2603.09014, table by table: our figures beside the
            paper’s. Each figure of ours is a link to where it comes from.
          </p>
          {report.faults.length > 0 && (
            <ul class="stale">
              {report.faults.map((fault) => <li>{fault}</li>)}
            </ul>
          )}
          <Contents report={report} />
        </header>
        <main>
          {report.experiments.map((experiment) => <Experiment experiment={experiment} />)}
          {report.comparison && <ComparisonPart comparison={report.comparison} />}
        </main>
      </body>
    </html>
  );
}

function Contents({ report }: { readonly report: Report }) {
  return (
    <nav aria-label="Contents">
      <ul>
        {report.experiments.map(({ name, title, results }) => (
          <li>
            <a href={`#${anchor(name)}`}>
              <span class="name">{name}</span> {title}
            </a>
            <span class="scales">
              {results.map((result) => (
                <>
                  {" "}
                  <a href={`#${anchor(result.name)}`}>{result.figures.caption.scale}</a>
                  {result.stale !== undefined && <strong class="stale">stale</strong>}
                </>
              ))}
            </span>
          </li>
        ))}
        {report.comparison && (
          <li>
            <a href={`#${comparisonAnchor}`}>
              <span class="name">diff</span> {report.comparison.diff.before.name} → {report.comparison.diff.after.name}
            </a>
          </li>
        )}
      </ul>
    </nav>
  );
}
