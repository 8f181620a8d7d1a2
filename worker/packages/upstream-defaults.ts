import { execFile } from "node:child_process";
import { promisify } from "node:util";

const TIMEOUT_MS = 20_000;
const run = promisify(execFile);

/** Of what a host's own package manager says where its packages come from; undefined where it has none. */
const firstUrl = async (commands: readonly (readonly [string, ...string[]])[]): Promise<string | undefined> => {
  for (const [command, ...args] of commands) {
    const { stdout } = await run(command, args, { timeout: TIMEOUT_MS }).catch(() => ({ stdout: "" }));
    const url = stdout.trim().split("\n").at(-1) ?? "";
    if (/^https?:\/\/./.test(url)) return url;
  }
  return undefined;
};

/** pip tells what it was configured with; what it uses otherwise stands in its code only. */
export const hostPipIndex = async (): Promise<string | undefined> =>
  await firstUrl([
    ["python3", "-m", "pip", "config", "get", "global.index-url"],
    ["python3", "-c", "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"],
  ]);

export const hostNpmRegistry = async (): Promise<string | undefined> =>
  await firstUrl([["npm", "config", "get", "registry"]]);
