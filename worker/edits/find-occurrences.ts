/**
 * Where `needle` stands in `text`, from the left, at most `max` times (Knuth, Morris, Pratt): `indexOf` on the same input
 * can take minutes for texts made for it, and this thread serves every session of the worker.
 * @param isOverlapping also the places that begin inside the one before
 */
export const findOccurrences = <T>(
  text: ArrayLike<T>,
  needle: ArrayLike<T>,
  { max, isOverlapping }: { max: number; isOverlapping: boolean },
): number[] => {
  const found: number[] = [];
  if (needle.length === 0 || needle.length > text.length) return found;
  const borders = bordersOf(needle);
  for (let at = 0, matched = 0; at < text.length && found.length < max; at++) {
    while (matched > 0 && text[at] !== needle[matched]) matched = borders[matched - 1]!;
    if (text[at] === needle[matched]) matched++;
    if (matched < needle.length) continue;
    found.push(at + 1 - matched);
    matched = isOverlapping ? borders[matched - 1]! : 0;
  }
  return found;
};

/** For each prefix, the length of its longest proper prefix that also ends it. */
const bordersOf = (needle: ArrayLike<unknown>): Int32Array => {
  const borders = new Int32Array(needle.length);
  for (let at = 1, length = 0; at < needle.length; at++) {
    while (length > 0 && needle[at] !== needle[length]) length = borders[length - 1]!;
    if (needle[at] === needle[length]) length++;
    borders[at] = length;
  }
  return borders;
};
