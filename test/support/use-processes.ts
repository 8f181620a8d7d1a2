import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ManagedProcess } from "../../compose/embedded/managed-process.ts";

/** Coordinators and workers one by one, for tests of how they start; those left are ended after each test. */
export const useProcesses = () => {
  let folder = "";
  const started: ManagedProcess[] = [];
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "codegen-mcp-test-"));
  });
  afterEach(async function () {
    this.timeout(90_000);
    await Promise.all(started.splice(0).map((child) => child.stop(60_000)));
    await rm(folder, { recursive: true, force: true });
  });
  return {
    /** Gone after the test. */
    get folder(): string {
      return folder;
    },
    launch: (part: "coordinator" | "worker", env: Record<string, string>): ManagedProcess => {
      const main = fileURLToPath(new URL(`../../${part}/main.js`, import.meta.url));
      const logFile = join(folder, `${part}-${started.length}.log`);
      const settings = { ...process.env, PORT: "0", RUN_DIR: join(folder, "run"), ...env };
      const child = new ManagedProcess(part, process.execPath, ["--enable-source-maps", main], {
        env: settings,
        logFile,
      });
      started.push(child);
      return child;
    },
  };
};
