/** What a run is given: somewhere to tell how far it is, and a signal that says when it is to end. */
export interface Running {
  say: (text: string) => void;
  signal: AbortSignal;
}

/** Runs a program of minutes until its end, a signal, or the limit, and ends the process; it tells whether all was well. */
export const limitedRun = async (limitMs: number, run: (running: Running) => Promise<boolean>): Promise<never> => {
  const startedAt = performance.now();
  const say = (text: string): void => {
    console.error(`▶ ${((performance.now() - startedAt) / 1000).toFixed(1).padStart(5)} s  ${text}`);
  };
  const abort = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => abort.abort(new Error(signal)));
  process.on("uncaughtException", (error) => abort.abort(error)); // what was started is still taken down
  const late = new Error(`the run took more than ${limitMs / 1_000} s`);
  const limit = setTimeout(() => abort.abort(late), limitMs);
  try {
    process.exitCode = (await run({ say, signal: abort.signal })) ? 0 : 1;
  } catch (error) {
    console.error("\nThe run did not come to its end:", error);
    process.exitCode = 1;
  } finally {
    clearTimeout(limit);
  }
  process.exit(); // a client of a coordinator that was killed may keep its stream for ever
};
