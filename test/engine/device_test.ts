import { assertEquals } from "@std/assert";

const { tasks } = JSON.parse(await Deno.readTextFile("deno.json"));
const permissions: string[] = tasks.table4.command.match(/--(?:no-prompt|allow-\S+)/g);

Deno.test({
  name: "cpuFlags() tells with the permissions of the tasks, what the system tells",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const device = new URL("../../lib/engine/device.ts", import.meta.url);
    const code = `import { cpuFlags } from ${JSON.stringify(device)}; console.log((await cpuFlags()).join(" "));`;
    const module = `data:application/typescript,${encodeURIComponent(code)}`;
    const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["run", ...permissions, module] }).output();
    const told = /^(?:flags|Features)\s*:(.*)$/m.exec(await Deno.readTextFile("/proc/cpuinfo"))?.[1]?.trim();
    assertEquals(new TextDecoder().decode(stdout).trim(), told ?? "");
  },
});
