import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const project = fileURLToPath(new URL("../", import.meta.url));

/** A block of CONTRIBUTING: what a file is to hold, or what is to be typed. */
interface Block {
  readonly file?: string;
  readonly text: string;
}

/** The fenced blocks of a section, in order, their indentation taken away. */
async function blocksOf(section: string): Promise<Block[]> {
  const whole = await Deno.readTextFile(join(project, "CONTRIBUTING.md"));
  const part = whole.split(/^## /m).find((text) => text.startsWith(section));
  assert(part, `CONTRIBUTING has no section "${section}"`);
  return [...part.matchAll(/^( *)```(\S+)(?: (\S+))?\n(.*?)^ *```$/gms)].map(([, indent, , file, text]) => ({
    ...(file !== undefined && { file }),
    text: text!.split("\n").map((line) => line.slice(indent!.length)).join("\n"),
  }));
}

/** A copy of the project to work in, as a contributor would; what is installed and committed results are shared. */
async function copyOfProject(): Promise<string> {
  const copy = await Deno.makeTempDir({ prefix: "nfm-test-" });
  const { stdout } = await new Deno.Command("git", { args: ["ls-files", "-co", "--exclude-standard"], cwd: project })
    .output();
  for (const file of new TextDecoder().decode(stdout).trim().split("\n")) {
    if (file.startsWith("results/")) continue;
    await Deno.mkdir(dirname(join(copy, file)), { recursive: true });
    // A file that git still lists may have been removed here.
    await Deno.copyFile(join(project, file), join(copy, file)).catch(() => {});
  }
  for (const shared of ["node_modules", "results"]) await Deno.symlink(join(project, shared), join(copy, shared));
  return copy;
}

/** Does what the section says, and returns what the commands printed. */
async function follow(section: string, cwd: string): Promise<string> {
  let printed = "";
  for (const { file, text } of await blocksOf(section)) {
    if (file !== undefined) {
      await Deno.mkdir(dirname(join(cwd, file)), { recursive: true });
      await Deno.writeTextFile(join(cwd, file), text, { append: true });
      continue;
    }
    const path = `${dirname(Deno.execPath())}:${Deno.env.get("PATH")}`;
    const { code, stdout, stderr } = await new Deno.Command("sh", {
      args: ["-ec", text],
      cwd,
      env: { PATH: path, NO_COLOR: "1" },
      stdin: "null",
    }).output();
    const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    assertEquals(code, 0, said);
    printed += said;
  }
  return printed;
}

const ignore = Deno.build.os === "windows";

Deno.test({
  name: "CONTRIBUTING's new coupling is one file and one line: it trains beside the others and passes their tests",
  ignore,
  async fn() {
    const cwd = await copyOfProject();
    const printed = await follow("Adding a coupling", cwd);
    assertStringIncludes(printed, "Antithetic");
    assertStringIncludes(printed, "antithetic: both marginals are right");
    await Deno.remove(cwd, { recursive: true });
  },
});

Deno.test({
  name: "CONTRIBUTING's new table is a folder and no code: it resolves, runs and stands beside the paper's figures",
  ignore,
  async fn() {
    const cwd = await copyOfProject();
    const printed = await follow("Adding a table", cwd);
    assertStringIncludes(printed, "Curvature of a wider student");
    assertStringIncludes(printed, "width: 128");
    assertStringIncludes(printed, "0.0864");
    await Deno.remove(cwd, { recursive: true });
  },
});
