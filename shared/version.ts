import { readFileSync } from "node:fs";

/** The package's version; this file stands two folders below package.json once it is built. */
export const VERSION = (
  JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string }
).version;
