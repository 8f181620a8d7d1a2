import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { SetupFailure } from "./say.mjs";

/** Runs a step with its output shown (on stderr). @throws {SetupFailure} unless it ends with 0 */
export async function runCommand(command, args, env = process.env) {
  const child = spawn(command, args, { stdio: ["ignore", 2, 2], env });
  const code = await new Promise((resolve, reject) => child.on("error", reject).on("exit", resolve));
  if (code !== 0) throw new SetupFailure(`Cannot go on: "${[command, ...args].join(" ")}" ended with ${code}`);
}

/** The path of a program, as a shell would find it; system folders count even where PATH lacks them. */
export function findProgram(name, env = process.env) {
  const folders = [
    ...(env.PATH ?? "").split(":"),
    "/usr/local/sbin",
    "/usr/sbin",
    "/sbin",
    "/usr/local/bin",
    "/usr/bin",
  ];
  return folders.map((folder) => join(folder || ".", name)).find(isExecutable);
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
