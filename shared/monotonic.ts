/** Milliseconds on a clock that only goes forward, and is the same in every thread and process of this machine. */
export const monotonicMs = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;
