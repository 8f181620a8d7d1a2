// Keeps track of a Docker Engine that the setup started, and of the commands that use it, so that the last one to leave
// ends it and nobody ends another's. One file each in .data/engine/.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { say } from "./say.mjs";

const FOLDER = ".data/engine";
const STOP_TIMEOUT_MS = 40_000;

/** Remembers that we started it. A kept one stays until scripts/teardown; else it goes with its last user. */
export const recordEngine = (pid, { isKept }, folder = FOLDER) =>
  write(folder, "started.json", { ...identify(pid), isKept });

/** Call before looking for an engine, so that no other command's end takes it away in between. */
export const enter = (folder = FOLDER) => write(folder, `user-${process.pid}.json`, identify(process.pid));

/** Ends the engine if we started it, it is not kept and no other command uses it. */
export async function leave(folder = FOLDER) {
  rmSync(join(folder, `user-${process.pid}.json`), { force: true });
  const engine = read(folder, "started.json");
  const isLast = liveUsers(folder) === 0;
  if (engine && !engine.isKept && isLast) await endEngine(folder);
}

/** Ends the engine that we started, kept or not. Returns false where there is none. */
export async function endEngine(folder = FOLDER) {
  const engine = read(folder, "started.json");
  const isOurs = engine && isAlive(engine);
  if (isOurs) {
    process.kill(engine.pid, "SIGTERM");
    for (const deadline = Date.now() + STOP_TIMEOUT_MS; isAlive(engine); await sleep(50)) {
      if (Date.now() > deadline) {
        say(`dockerd (pid ${engine.pid}) does not end; it still has a SIGTERM to answer`);
        return true;
      }
    }
    say(`stopped the Docker Engine that the setup had started (pid ${engine.pid})`);
  }
  rmSync(join(folder, "started.json"), { force: true });
  return Boolean(isOurs);
}

function liveUsers(folder) {
  const names = readdirSync(folder).filter((name) => name.startsWith("user-"));
  return names.filter((name) => {
    const user = read(folder, name);
    if (user && isAlive(user)) return true;
    rmSync(join(folder, name), { force: true });
    return false;
  }).length;
}

/** A pid and the moment it started: pids are used again. */
const identify = (pid) => ({ pid, startedAt: startOf(pid) });
const isAlive = ({ pid, startedAt }) => startOf(pid) !== undefined && startOf(pid) === startedAt;

/** Clock ticks since boot, field 22 of /proc/<pid>/stat; a zombie has ended. Undefined where there is no such process. */
function startOf(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

function write(folder, name, value) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, name), JSON.stringify(value));
}

function read(folder, name) {
  try {
    return JSON.parse(readFileSync(join(folder, name), "utf8"));
  } catch {
    return undefined;
  }
}
