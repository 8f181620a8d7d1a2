const SIGNATURES: readonly [mime: string, offset: number, bytes: string][] = [
  ["image/png", 0, "\x89PNG\r\n\x1a\n"],
  ["image/jpeg", 0, "\xff\xd8\xff"],
  ["image/gif", 0, "GIF8"],
  ["image/webp", 8, "WEBP"],
  ["image/bmp", 0, "BM"],
  ["application/pdf", 0, "%PDF-"],
  ["application/zip", 0, "PK\x03\x04"],
  ["application/gzip", 0, "\x1f\x8b"],
];

/** From a file's first bytes. Text that only looks like a signature ("BM") is text. */
export const mimeType = (head: Buffer, isText: boolean): string => {
  const found = SIGNATURES.find(
    ([, offset, bytes]) => head.toString("latin1", offset, offset + bytes.length) === bytes,
  );
  if (found && (!isText || found[0] === "application/pdf")) return found[0];
  return isText ? "text/plain" : "application/octet-stream";
};
