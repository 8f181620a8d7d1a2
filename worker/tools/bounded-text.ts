import { OutputWindow } from "../session/output-window.ts";

/** As a model is shown it: whole, or head and tail on line boundaries with what is missing between them. */
export const boundedText = (
  bytes: Buffer,
  limitBytes: number,
  whereTheRestIs: string,
): { text: string; isTruncated: boolean; isLossy: boolean } => {
  const window = new OutputWindow(limitBytes);
  window.push(bytes);
  return { text: window.text(whereTheRestIs), isTruncated: window.isTruncated, isLossy: window.isLossy };
};
