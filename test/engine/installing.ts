/** One run that installs, as a process of its own: `installing.ts <cache> <wheel> <log> <sha256> <bytes>`. */
import { install } from "../../lib/engine/install.ts";
import { copyFrom, releaseOf } from "./small_release.ts";

const [cache, wheel, log, sha256, bytes] = Deno.args as [string, string, string, string, string];
const library = await install({ cache, release: releaseOf(sha256, Number(bytes)), fetchWheel: copyFrom(wheel, log) });
console.log(library.cc);
