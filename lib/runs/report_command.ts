import { parseArgs } from "@std/cli";
import { writeFileAtomic } from "../core/files.ts";
import { attempt, instead, noOption, Problem } from "../core/problem.ts";
import { say } from "../core/terminal.ts";
import { contentSecurityPolicy, renderReport } from "../reports/html/page.tsx";
import type { Comparison } from "../reports/html/types.ts";
import { diffSources } from "../results/diff.ts";
import { listResults, openSource, type Source, workingTree } from "../results/tree.ts";
import { experimentOf, gatherExperiments, isNamed } from "./report_data.ts";

const help =
  `deno task report                   every result as one HTML file, .nfm/report.html: tables beside the paper's,
                                   curves, samples, and where each figure comes from; readable without network
deno task report table4 table5     these experiments alone
deno task report --out FILE        write it there
deno task report --diff A          with the diff of the results of A (a commit, branch, tag or folder) to the working
                                   tree; default: of HEAD, where they differ
deno task report --diff A..B       with the diff from A to B
deno task report --serve           serve it on this machine, made anew at every reload (--port N, default 8080;
                                   0 is any that is free)`;

interface ReportLine {
  readonly names: readonly string[];
  readonly out: string;
  readonly diff?: string;
  readonly serve: boolean;
  readonly port: number;
  readonly quiet: boolean;
}

/**
 * `deno task report [NAME…] [--out FILE] [--diff A|A..B] [--serve [--port N]]`: writes or serves the HTML report of
 * the results in the working tree.
 *
 * @throws {Problem} for a name, an option or a revision that is not there.
 */
export async function reportCommand(args: readonly string[]): Promise<void> {
  if (args.includes("--help") || args.includes("-h")) return console.log(help);
  const line = parseLine(args);
  if (line.serve) return await serve(line);
  await writeFileAtomic(line.out, await makeReport(line));
  console.log(line.out);
}

/** The page as it is now. */
async function makeReport({ names, diff, quiet }: Pick<ReportLine, "names" | "diff" | "quiet">): Promise<string> {
  const source = await workingTree();
  refuseUnknown(names, source);
  const { experiments, faults: unread } = await gatherExperiments(source, names);
  const comparison = await compare(source, names, diff);
  const faults = [...new Set([...unread, ...comparison?.diff.faults ?? []])];
  for (const fault of faults) say(fault, { quiet });
  return renderReport({ experiments, faults, ...(comparison && { comparison }) });
}

async function compare(
  workingTree: Source,
  names: readonly string[],
  asked: string | undefined,
): Promise<Comparison | undefined> {
  const [, from, to] = asked?.match(/^(.*[^./])\.\.([^./].*)$/) ?? [undefined, asked ?? "HEAD"];
  const before = await attempt(() => openSource(from!));
  if (before instanceof Problem) {
    if (asked === undefined) return undefined; // outside a repository, or before its first commit
    throw before;
  }
  const after = to === undefined ? workingTree : await openSource(to);
  const whole = await diffSources(before, after);
  const results = whole.results.filter((result) =>
    isNamed((result.after ?? result.before)!.figures.caption.experiment, names)
  );
  const diff = { ...whole, results };
  const same = results.every(({ changes }) => changes.every(({ verdict }) => verdict === "same"));
  // A diff that nobody asked for and that says nothing is left out.
  return asked === undefined && same ? undefined : { diff, shown: after === workingTree };
}

function refuseUnknown(names: readonly string[], source: Source): void {
  const known = [...new Set(listResults(source).map(experimentOf))];
  for (const name of names) {
    if (known.some((experiment) => isNamed(experiment, [name]))) continue;
    if (known.length === 0) throw new Problem("There are no results yet: run an experiment first");
    throw new Problem(`There are no results of "${name}"; ${instead(name, known)}`);
  }
}

/** Serves the page to this machine alone until it is interrupted. */
async function serve(line: ReportLine): Promise<void> {
  await makeReport(line); // a mistake in the command line is one now, not at the first request
  const options: Deno.ServeTcpOptions = {
    hostname: "127.0.0.1",
    port: line.port,
    onListen: ({ port }) => say(`http://127.0.0.1:${port}/ is made anew at every reload; Ctrl-C ends it`, line),
  };
  const server = listen(options, async (request) => {
    const { hostname, pathname } = new URL(request.url);
    // Another name for this address is another site asking through the reader's browser.
    if (hostname !== "127.0.0.1" && hostname !== "localhost") return plain("not this site", 403);
    if (request.method !== "GET" && request.method !== "HEAD") return plain("GET alone", 405);
    if (pathname !== "/") return plain("there is one page here: /", 404);
    try {
      return new Response(await makeReport(line), {
        headers: {
          "content-type": "text/html; charset=utf-8",
          "content-security-policy": contentSecurityPolicy,
          "cache-control": "no-store",
          "x-content-type-options": "nosniff",
        },
      });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      return plain(error.message, 500);
    }
  });
  await server.finished;
}

function listen(options: Deno.ServeTcpOptions, handler: Deno.ServeHandler): Deno.HttpServer {
  try {
    return Deno.serve(options, handler);
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    throw new Problem(`Cannot serve on port ${options.port}: something else does; try --port ${options.port! + 1}`);
  }
}

function plain(text: string, status: number): Response {
  return new Response(`${text}\n`, { status, headers: { "content-type": "text/plain; charset=utf-8" } });
}

const options = ["out", "diff", "serve", "port", "quiet", "help"];

function parseLine(args: readonly string[]): ReportLine {
  const given = parseArgs([...args], {
    string: ["out", "diff", "port", "_"],
    boolean: ["serve", "quiet"],
    unknown: (word, key) => {
      if (key === undefined) return true;
      throw noOption("report", word, options);
    },
  });
  const [out, diff, port] = ["out", "diff", "port"].map((name) => {
    if (given[name] === "") throw new Problem(`--${name} expects a value after it`);
    return given[name] as string | undefined;
  });
  if (port !== undefined && !(/^\d+$/.test(port) && Number(port) <= 65535)) {
    throw new Problem(`--port ${port}: expected a port up to 65535, or 0 for any that is free`);
  }
  return {
    names: given._.map(String),
    out: out ?? ".nfm/report.html",
    ...(diff !== undefined && { diff }),
    serve: given["serve"] === true,
    port: Number(port ?? 8080),
    quiet: given["quiet"] === true,
  };
}
