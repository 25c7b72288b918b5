import { join } from "node:path";
import { type Browser, chromium } from "playwright-core";

/** Chromium on this machine: `NFM_CHROMIUM`, else the first of its names on the PATH. */
export async function findChromium(): Promise<string | undefined> {
  const named = Deno.env.get("NFM_CHROMIUM");
  if (named !== undefined && named !== "") return named;
  for (const name of ["chromium", "chromium-browser", "google-chrome"]) {
    for (const folder of (Deno.env.get("PATH") ?? "").split(":")) {
      const path = join(folder, name);
      if (folder !== "" && await Deno.stat(path).then((info) => info.isFile, () => false)) return path;
    }
  }
  return undefined;
}

/** Opens it without a window, asking nothing of the network on its own. */
export async function openChromium(executablePath: string): Promise<Browser> {
  return await chromium.launch({
    executablePath,
    timeout: 600_000, // a busy machine takes its time
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
