// Runs a command on a machine made ready for it, and takes down afterwards what was started for it.
//   with-setup.mjs COMMAND [ARGUMENT…]     "--yes" among the arguments is ours: it answers the setup's question
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { SetupFailure, say } from "./say.mjs";
import { setup } from "./setup.mjs";
import { enter, leave } from "./started-engine.mjs";

const words = process.argv.slice(2);
const [command, ...args] = words.filter((word) => word !== "--yes");
const onTerminal = [process.stdin, process.stdout, process.stderr].some((stream) => stream.isTTY);
let child;

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, async () => {
    // A terminal has sent its SIGINT to the command itself; a second one would mean "at once".
    if (child) return void ((signal !== "SIGINT" || !onTerminal) && child.kill(signal));
    await leave();
    process.exit(128 + constants.signals[signal]);
  });
}

enter();
try {
  const env = await setup({ assumeYes: words.includes("--yes"), keepsEngine: false, env: process.env });
  process.exitCode = await run(env);
} catch (error) {
  say(error instanceof SetupFailure ? error.message : error.stack);
  process.exitCode = 1;
}
await leave();

/** Resolves with the exit code, as a shell would give it. */
function run(env) {
  child = spawn(command, args, { stdio: "inherit", env });
  return new Promise((resolve, reject) => {
    child.on("error", (error) => reject(new SetupFailure(`Cannot run "${command}": ${error.message}`)));
    child.on("exit", (code, signal) => resolve(code ?? 128 + constants.signals[signal]));
  });
}
