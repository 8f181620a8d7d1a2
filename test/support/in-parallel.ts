/** Acts on every value, at most `width` of them at a time. Rejects with the first failure, when all have ended. */
export const inParallel = async <T>(
  values: readonly T[],
  width: number,
  act: (value: T) => Promise<void>,
): Promise<void> => {
  const left = [...values];
  const lane = async (): Promise<void> => {
    for (let value = left.shift(); value !== undefined; value = left.shift()) await act(value);
  };
  const ends = await Promise.allSettled(Array.from({ length: width }, lane));
  const failed = ends.find((end) => end.status === "rejected");
  if (failed) throw failed.reason;
};
