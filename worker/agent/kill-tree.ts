import { setTimeout as delay } from "node:timers/promises";

const STOP_ROUNDS = 20;
const POLL_FIRST_MS = 2;
const POLL_LAST_MS = 50;

/** Sends `signal` to each process; gives how many were still there. */
export const signalAll = (pids: Iterable<number>, signal: NodeJS.Signals): number => {
  let count = 0;
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
      count++;
    } catch {
      // it has just ended
    }
  }
  return count;
};

/** Waits until `find` finds nothing; false when that took longer than `graceMs` or `isHurried` said so. */
export const waitUntilGone = async (
  find: () => number[],
  graceMs: number,
  isHurried: () => boolean,
): Promise<boolean> => {
  const deadline = performance.now() + graceMs;
  for (let pollMs = POLL_FIRST_MS; ; pollMs = Math.min(pollMs * 2, POLL_LAST_MS)) {
    if (find().length === 0) return true;
    if (isHurried() || performance.now() >= deadline) return false;
    await delay(pollMs);
  }
};

/**
 * Kills until `find` finds nothing. A process that forks while it is looked for could slip away for ever, so everything is
 * stopped first: what is stopped starts nothing.
 */
export const killUntilGone = async (find: () => number[]): Promise<void> => {
  for (let pollMs = POLL_FIRST_MS; ; pollMs = Math.min(pollMs * 2, POLL_LAST_MS)) {
    const stopped = new Set<number>();
    for (let round = 0; round < STOP_ROUNDS; round++) {
      const fresh = find().filter((pid) => !stopped.has(pid));
      if (fresh.length === 0) break;
      signalAll(fresh, "SIGSTOP");
      for (const pid of fresh) stopped.add(pid);
    }
    if (stopped.size === 0) return;
    signalAll(stopped, "SIGKILL");
    await delay(pollMs);
  }
};
