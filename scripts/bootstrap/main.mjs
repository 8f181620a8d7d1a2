// The setup by itself: main.mjs [--yes], or main.mjs --teardown
import { SetupFailure, say } from "./say.mjs";
import { setup } from "./setup.mjs";
import { endEngine, enter, leave } from "./started-engine.mjs";

const args = process.argv.slice(2);
const unknown = args.find((arg) => !["--yes", "--teardown"].includes(arg));
try {
  if (unknown) throw new SetupFailure(`Unknown argument "${unknown}": only --yes is known`);
  if (args.includes("--teardown")) {
    if (!(await endEngine())) say("nothing to take down: the setup started no Docker Engine that still runs");
  } else {
    enter();
    await setup({ assumeYes: args.includes("--yes"), keepsEngine: true, env: process.env }).finally(() => leave());
    say("ready");
  }
} catch (error) {
  say(error instanceof SetupFailure ? error.message : error.stack);
  process.exitCode = 1;
}
