import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { anchor } from "../../lib/reports/html/anchor.ts";
import { renderReport } from "../../lib/reports/html/page.tsx";
import { readFigures } from "../../lib/results/figures.ts";
import { readProvenance } from "../../lib/results/provenance.ts";
import { findChromium, openChromium } from "./chromium.ts";
import { faintText } from "./faint_text.ts";
import { hostileReport } from "./hostile_report.ts";

const executable = await findChromium();
const desktop = { viewport: { width: 1280, height: 900 } };
const phone = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

/** A figure of the main table, committed at desk scale. */
const result = "table4/desk", figure = "NFM / 131072 / heun 7 / guided / frechet";
const card = `[id="${anchor(result, figure)}"]`, cellLink = `td a[href="#${anchor(result, figure)}"]`;

/** Milliseconds after which something hangs, rather than being slow on a busy machine. */
const patience = 600_000;

interface Visit extends AsyncDisposable {
  readonly page: Page;
  /** What the console said and the network was asked for. */
  readonly noise: string[];
}

/** Opens a file without network, in a window of its own. */
async function visit(browser: Browser, file: string, options: BrowserContextOptions = desktop): Promise<Visit> {
  const context = await browser.newContext({ ...options, offline: true });
  context.setDefaultTimeout(patience);
  const page = await context.newPage();
  const url = pathToFileURL(file).href, noise: string[] = [];
  page.on("console", (message) => noise.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => noise.push(`error: ${error.message}`));
  page.on("request", (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith("data:")) noise.push(`request: ${request.url()}`);
  });
  await page.goto(url);
  return { page, noise, [Symbol.asyncDispose]: () => context.close() };
}

async function unfold(page: Page): Promise<void> {
  await page.evaluate("document.querySelectorAll('details').forEach((one) => one.open = true)");
}

Deno.test({
  name: `the report in a browser${executable === undefined ? ": no Chromium found, set NFM_CHROMIUM" : ""}`,
  ignore: executable === undefined,
  fn: async (t) => {
    const folder = await Deno.makeTempDir({ prefix: "nfm-report-" });
    const file = join(folder, "report.html");
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "lib/cli.ts", "report", "--out", file],
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    const browser = await openChromium(executable!);
    try {
      await t.step("opens from a file, says nothing on the console and asks nothing of the network", async () => {
        await using visited = await visit(browser, file);
        const { page, noise } = visited;
        await unfold(page);
        assertEquals(await page.locator("h2").first().isVisible(), true);
        const pictures = await page.evaluate("[...document.images].map((one) => one.naturalWidth)") as number[];
        assert(pictures.length > 0 && pictures.every((width) => width > 0));
        assert(await page.locator("svg[role=img]").count() > 0);
        assertEquals(noise, []);
      });

      await t.step("a figure leads to its provenance by keyboard, and its provenance back to it", async () => {
        await using visited = await visit(browser, file);
        const { page, noise } = visited;
        const provenance = await readProvenance(`results/${result}/provenance.json`);
        const { caption, figures } = await readFigures(`results/${result}/figures.json`);
        assertEquals(await page.locator(card).isVisible(), false);
        await page.locator(cellLink).first().focus();
        await page.keyboard.press("Enter");
        await page.locator(card).waitFor();
        const text = await page.locator("aside.provenance", { has: page.locator(card) }).innerText();
        for (
          const fact of [
            figure,
            provenance.commit,
            provenance.engine,
            caption.seeds.join(", "),
            ...figures[figure]!.perSeed!.map((value, i) => `${caption.seeds[i]}: ${value}`),
            "kind: normalizingFlow",
            `git checkout ${provenance.commit}`,
            "--scale desk",
          ]
        ) {
          assertStringIncludes(text, fact);
        }
        assert(/experiments\/table4\/recipe\.yaml:\d+/.test(text), text);
        await page.keyboard.press("Tab");
        assertEquals(await page.evaluate("document.activeElement.textContent"), "Close");
        await page.keyboard.press("Enter");
        await page.locator(card).waitFor({ state: "hidden" });
        assertEquals(await page.evaluate("document.activeElement === document.querySelector('td a:target')"), true);
        assertEquals(noise, []);
      });

      await t.step("does all that without JavaScript", async () => {
        await using visited = await visit(browser, file, { ...desktop, javaScriptEnabled: false });
        const { page } = visited;
        await page.locator(cellLink).first().click();
        await page.locator(card).waitFor();
        await page.goBack();
        await page.locator(card).waitFor({ state: "hidden" });
      });

      await t.step("on a phone only the tables scroll sideways, their first column staying in view", async () => {
        await using visited = await visit(browser, file, phone);
        const { page, noise } = visited;
        const widths = () => page.evaluate("[document.documentElement.scrollWidth, innerWidth]");
        assertEquals(await widths(), [360, 360]);
        await unfold(page);
        assertEquals(await widths(), [360, 360]);
        const table = page.locator(".table .scroll", { has: page.locator(cellLink) }).first();
        const name = table.locator("tbody th").first();
        const before = await name.boundingBox();
        assert(await table.evaluate((frame) => frame.scrollWidth > frame.clientWidth + 100));
        await table.evaluate((frame) => frame.scrollTo(10000, 0));
        assert(await table.evaluate((frame) => frame.scrollLeft > 100));
        assertEquals((await name.boundingBox())!.x, before!.x);
        await page.locator(cellLink).first().tap();
        await page.locator(card).waitFor();
        assertEquals(await widths(), [360, 360]);
        assert((await page.locator(card).boundingBox())!.width <= 360);
        assertEquals(noise, []);
      });

      for (const colorScheme of ["light", "dark"] as const) {
        for (const [name, device] of Object.entries({ desktop, phone })) {
          await t.step(`every text on a ${name} is legible in ${colorScheme}`, async () => {
            await using visited = await visit(browser, file, { ...device, colorScheme });
            const { page, noise } = visited;
            await unfold(page);
            await page.locator(cellLink).first().click();
            await page.locator(card).waitFor();
            const { seen, faint } = await page.evaluate(faintText) as { seen: number; faint: string[] };
            assert(seen > 500, `only ${seen} texts seen`);
            assertEquals(faint, []);
            const dark = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor") as string;
            assertEquals(Number(dark.match(/\d+/)![0]) < 128, colorScheme === "dark");
            assertEquals(noise, []);
          });
        }
      }

      await t.step("on paper every table is unfolded and no figure is singled out", async () => {
        await using visited = await visit(browser, file);
        const { page } = visited;
        await page.locator(cellLink).first().click();
        await page.emulateMedia({ media: "print" });
        assertEquals(await page.locator(card).isVisible(), false);
        assert(await page.evaluate("[...document.querySelectorAll('table')].every((one) => one.checkVisibility())"));
        assert(await page.locator("aside.provenance").first().isVisible());
      });

      await t.step("text of any kind stays text", async () => {
        const trap = join(folder, "hostile.html");
        await Deno.writeTextFile(trap, renderReport(hostileReport()));
        await using visited = await visit(browser, trap);
        const { page, noise } = visited;
        await unfold(page);
        assertEquals(await page.locator("body script, body style, body [onload], body [onclick]").count(), 0);
        assertEquals(await page.title(), "Flow Matching via Distilled Normalizing Flows: reproduced");
        assertEquals(await page.locator("body").isVisible(), true);
        assertEquals(noise, []);
      });
    } finally {
      await browser.close();
      await Deno.remove(folder, { recursive: true });
    }
  },
});
