import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Problem } from "../../lib/core/problem.ts";
import { reportCommand } from "../../lib/runs/report_command.ts";
import { inProject, printed, smallTable, type TemporaryProject } from "../results/temporary_project.ts";

const project = fileURLToPath(new URL("../../", import.meta.url));
const { tasks } = JSON.parse(await Deno.readTextFile(join(project, "deno.json")));

/** `deno task report` as it stands in deno.json, with its own permissions, in another project. */
function report({ root }: TemporaryProject, ...args: string[]): Deno.Command {
  const [, ...words] = tasks.report.command.split(" ") as string[];
  const command = words.flatMap((word) =>
    word === "lib/cli.ts" ? ["--config", join(project, "deno.json"), join(project, word)] : [word]
  );
  return new Deno.Command(Deno.execPath(), {
    args: [...command, ...args],
    cwd: root,
    stdout: "piped",
    stderr: "piped",
  });
}

/** The page that it writes. */
async function written(temporary: TemporaryProject, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await report(temporary, ...args).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assertEquals([code, text(stdout), text(stderr)], [0, ".nfm/report.html\n", ""]);
  return await Deno.readTextFile(join(temporary.root, ".nfm/report.html"));
}

const figuresFile = "results/table4/quick/figures.json";

/** A project with one result of table 4, committed. */
async function withResult({ write, commit }: TemporaryProject): Promise<void> {
  const recipe = "experiments/table4/recipe.yaml";
  await write(recipe, await Deno.readTextFile(join(project, recipe)));
  await write(figuresFile, printed());
  const resolved = "results/table4/quick/resolved.yaml";
  await write(resolved, await Deno.readTextFile(join(project, resolved)));
  await commit("results");
}

const worse = {
  ...smallTable().figures,
  "NFM / 64 / heun 7 / unguided / frechet": { value: 12, standardError: 0.3, sampleCount: 500 },
};

Deno.test("deno task report writes the same bytes for the same results, and the diff once they differ from HEAD", () =>
  inProject(async (temporary) => {
    await withResult(temporary);
    const first = await written(temporary);
    assertEquals(await written(temporary), first);
    assert(!first.includes('id="diff"'));
    assertStringIncludes(first, "stale: nothing says which recipe made it");
    assertStringIncludes(first, "resolved.yaml:");

    await temporary.write(figuresFile, printed({}, worse));
    const changed = await written(temporary);
    assertStringIncludes(changed, "HEAD → the working tree");
    assertStringIncludes(changed, "1 worse, 2 same");

    await temporary.commit("worse");
    assert(!(await written(temporary)).includes('id="diff"'));
    assertStringIncludes(await written(temporary, "--diff", "HEAD~1..HEAD"), "HEAD~1 → HEAD");
  }));

Deno.test("deno task report leaves out what it cannot read, and says so on the page and at the terminal", () =>
  inProject(async (temporary) => {
    await withResult(temporary);
    const provenance = JSON.parse(await Deno.readTextFile(join(project, "results/table4/quick/provenance.json")));
    await temporary.write("results/table4/quick/provenance.json", JSON.stringify(provenance));
    await temporary.write(`results/environments/${provenance.environment}.json`, "{}");
    await temporary.write("results/table4/quick/resolved.yaml", "rows: [");
    await temporary.write("results/table4/quick/samples.png", "no picture");
    await temporary.write("experiments/table4/paper.yaml", "caption: 1");
    const { code, stderr } = await report(temporary).output();
    assertEquals(code, 0);
    const said = new TextDecoder().decode(stderr);
    const page = await Deno.readTextFile(join(temporary.root, ".nfm/report.html"));
    for (const file of ["environments/", "quick/resolved.yaml", "quick/samples.png", "table4/paper.yaml"]) {
      assertStringIncludes(said, file);
      assertStringIncludes(page, file);
    }
    assertStringIncludes(page, "NFM / 64 / heun 7 / unguided / frechet");
  }));

Deno.test("deno task report --serve answers this machine alone, anew at every reload", () =>
  inProject(async (temporary) => {
    await withResult(temporary);
    await using server = report(temporary, "--serve", "--port", "0").spawn();
    // Read on and not closed: what the server has to say about a damaged file must have somewhere to go.
    const lines = server.stderr.pipeThrough(new TextDecoderStream()).getReader();
    let said = "";
    while (!/http\S+\s/.test(said)) said += (await lines.read()).value;
    const url = new URL(said.match(/http\S+/)![0]);
    assertEquals(url.hostname, "127.0.0.1");

    const page = await fetch(url);
    assertEquals(page.status, 200);
    assertStringIncludes(page.headers.get("content-security-policy")!, "default-src 'none'");
    assert(!(await page.text()).includes("Renamed"));
    await temporary.write(figuresFile, printed({ title: "Renamed" }));
    assertStringIncludes(await (await fetch(url)).text(), "Renamed");

    await temporary.write(figuresFile, "{");
    const broken = await fetch(url);
    assertEquals(broken.status, 200);
    assertStringIncludes(await broken.text(), "Cannot read results/table4/quick/figures.json");

    const elsewhere = await fetch(new URL("/results/table4", url));
    assertEquals([elsewhere.status, await elsewhere.text()], [404, "there is one page here: /\n"]);
    assertEquals(await statusFor(url, "example.org"), "403");
    server.kill("SIGTERM");
    await server.status;
    await Promise.all([lines.cancel(), server.stdout.cancel()]);
  }));

/** The status that a request under another host's name gets, as a page elsewhere could send through a browser. */
async function statusFor({ port }: URL, host: string): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
  await connection.write(new TextEncoder().encode(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`));
  const bytes = new Uint8Array(64);
  await connection.read(bytes);
  return new TextDecoder().decode(bytes).split(" ")[1]!;
}

Deno.test("deno task report says what is wrong with its words, in one sentence", async () => {
  const mistakes: readonly (readonly [string[], string])[] = [
    [["tabel4"], 'did you mean "table4"?'],
    [["--ot", "x"], "There is no option --ot; "],
    [["--out="], "--out expects a value after it"],
    [["--serve", "--port", "http"], "--port http: expected a port up to 65535"],
    [["--diff", "no-such-revision"], '"no-such-revision" is neither a commit'],
  ];
  for (const [args, sentence] of mistakes) {
    const problem = await assertRejects(() => reportCommand(args), Problem);
    assertStringIncludes(problem.message, sentence);
  }
});
