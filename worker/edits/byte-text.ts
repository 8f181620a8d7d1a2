/** A file's bytes as a string of as many characters (latin1): exact for every file, and as quick as text. */
export type ByteText = string & { readonly __bytes: unique symbol };

export const fromBytes = (bytes: Uint8Array): ByteText =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1") as ByteText;
/** As it would stand in a file. */
export const fromText = (text: string): ByteText => Buffer.from(text).toString("latin1") as ByteText;
export const toBytes = (text: string): Buffer => Buffer.from(text, "latin1");
/** For people and models: bytes that are no UTF-8 become U+FFFD. */
export const toText = (text: string): string => toBytes(text).toString();

/** Lines with their ends; the last one may have none. */
export const splitLines = (text: string): string[] => text.match(/[^\n]*\n|[^\n]+/g) ?? [];

/** Whether every line ends in CRLF, the last one aside. */
export const isCrlf = (text: string): boolean => text.includes("\r\n") && !/(?<!\r)\n/.test(text);
export const toCrlf = (text: string): string => text.replaceAll("\n", "\r\n");
