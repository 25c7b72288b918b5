import { dirname, join } from "node:path";
import { type Figures, printFigures } from "../../lib/results/figures.ts";

/** A git repository in a folder of its own, as a person has one. */
export interface TemporaryProject {
  readonly root: string;
  write(path: string, text: string): Promise<void>;
  git(...args: string[]): Promise<string>;
  /** Commits everything that is there and returns the hash. */
  commit(message: string): Promise<string>;
}

/** Runs a test in a new repository and removes it afterwards. */
export async function inProject(test: (project: TemporaryProject) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "nfm-project-" });
  const git = async (...args: string[]) => {
    const identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"];
    const { success, stdout, stderr } = await new Deno.Command("git", { args: [...identity, ...args], cwd: root })
      .output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout).trim();
  };
  try {
    await git("init", "--quiet", "--initial-branch", "main");
    await test({
      root,
      git,
      async write(path, text) {
        await Deno.mkdir(dirname(join(root, path)), { recursive: true });
        await Deno.writeTextFile(join(root, path), text);
      },
      async commit(message) {
        await git("add", "--all");
        await git("commit", "--quiet", "--message", message);
        return await git("rev-parse", "HEAD");
      },
    });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

/** A small table: `change` says what differs from it. */
export function smallTable(change: Partial<Figures["caption"]> = {}, figures?: Figures["figures"]): Figures {
  return {
    caption: {
      title: "T",
      experiment: "table4",
      scale: "quick",
      version: 1,
      data: "mnist 16x16",
      features: "CNN 3fa9",
      samples: 500,
      seeds: [0],
      guidance: "none.",
      ...change,
    },
    metrics: {
      frechet: { label: "FD", unit: "", better: "lower", digits: 2 },
      accuracy: { label: "accuracy", unit: "", better: "higher", digits: 2 },
      loss: { label: "loss", unit: "", better: "lower", digits: 4 },
      weight: { label: "w", unit: "", better: "neither", digits: 2 },
    },
    figures: figures ?? {
      "FM / 64 / heun 7 / unguided / frechet": { value: 20, standardError: 0.3, sampleCount: 500 },
      "NFM / 64 / heun 7 / unguided / frechet": { value: 10, standardError: 0.3, sampleCount: 500 },
      "NFM / loss": { value: 0.25, sampleCount: 500 },
    },
  };
}

export const printed = (change: Partial<Figures["caption"]> = {}, figures?: Figures["figures"]) =>
  printFigures(smallTable(change, figures));
