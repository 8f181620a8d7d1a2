import { mkdtempSync, rmSync } from "node:fs";
import { readFile, rename, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newToken } from "../../coordinator/auth/token-line.ts";

/** Little work a token: what tests verify is not how long guessing takes. */
const CHEAP = { ln: 4, r: 8, p: 1 };

/** A token file for the tests of one `describe`, and real tokens of principals. */
export const useTokens = () => {
  const folder = mkdtempSync(join(tmpdir(), "codegen-mcp-tokens-"));
  const file = join(folder, "tokens");
  const tokens = new Map<string, string>();
  after(() => rmSync(folder, { recursive: true, force: true }));
  const rewrite = async (text: string): Promise<void> => {
    await writeFile(`${file}.new`, text);
    await rename(`${file}.new`, file);
  };
  const text = (): Promise<string> => readFile(file, "utf8").catch(() => "");
  return {
    file,
    /** Makes a token and adds its line. */
    add: async (principal: string, end?: Date): Promise<string> => {
      const { token, line } = await newToken(principal, end, CHEAP);
      await rewrite(`${await text()}${line}\n`);
      tokens.set(principal, token);
      return token;
    },
    /** Takes a token's line out. */
    revoke: async (token: string): Promise<void> => {
      const id = token.split("_")[1] ?? "";
      const lines = (await text()).split("\n").filter((line) => !line.startsWith(`${id} `));
      await rewrite(lines.join("\n"));
    },
    rewrite,
    text,
    /** The header that the principal's requests have. */
    headersOf: (principal: string): Record<string, string> => ({ authorization: `Bearer ${tokens.get(principal)}` }),
  };
};
