import type { RunnerSupply } from "./runner-supply.ts";

const TIMEOUT_MS = 5_000;
const OUTPUT_MAX_BYTES = 1024 * 1024;
/** Belong to the shell that printed them, or to the agent, and to no other process. */
const NOT_INHERITED = new Set([
  "_",
  "SHLVL",
  "PWD",
  "OLDPWD",
  "AGENT_TRANSPORT",
  "CODEGEN_SUPERVISED",
  "MALLOC_ARENA_MAX",
  "UV_THREADPOOL_SIZE",
]);

/**
 * The environment of a login shell, asked for once: `bash -lc` for every command would cost 2 ms each. Falls back to
 * `base` when the login scripts fail or hang.
 */
export const captureLoginEnvironment = async (
  runners: RunnerSupply,
  base: Record<string, string>,
): Promise<Record<string, string>> => {
  const runner = await runners.take();
  const text = await new Promise<string>((resolve) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    const timer = setTimeout(() => resolve(""), TIMEOUT_MS);
    const done = (text: string) => {
      clearTimeout(timer);
      resolve(text);
    };
    const { stdout, stderr } = runner.run(
      { cwd: base.HOME ?? "/", argv: ["/bin/bash", "-lc", "exec env -0"], env: base, hasStdin: false },
      { onStarted: () => {}, onFailed: () => done(""), onEnded: () => {}, onGone: () => {} },
    );
    stderr
      .open()
      .on("error", () => {})
      .resume();
    const reader = stdout.open().on("data", (data) => {
      bytes += data.length;
      if (bytes <= OUTPUT_MAX_BYTES) parts.push(data);
    });
    reader.on("error", () => done("")).on("end", () => done(Buffer.concat(parts).toString()));
  });
  const captured = parse(text);
  return withoutOwn(captured.PATH ? captured : base);
};

const parse = (text: string): Record<string, string> =>
  Object.fromEntries(
    text
      .split("\0")
      .filter((entry) => entry.indexOf("=") > 0)
      .map((entry) => [entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1)]),
  );

const withoutOwn = (env: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !NOT_INHERITED.has(name)));
