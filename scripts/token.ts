import { open } from "node:fs/promises";
import { parseArgs } from "node:util";
import { newToken } from "../coordinator/auth/token-line.ts";

const USAGE = `scripts/token PRINCIPAL [--file FILE] [--days N]
Makes a bearer token for a principal and prints it, once: only its hash is kept, as a line added to the file.
--file   default: AUTH_TOKENS_FILE
--days   after how many days it ends; without it, never
A token is revoked by taking its line out of the file.`;

const fail = (message: string): never => {
  console.error(message);
  process.exit(2);
};

const options = { file: { type: "string" }, days: { type: "string" }, help: { type: "boolean" } } as const;
const parse = () => {
  try {
    return parseArgs({ options, allowPositionals: true });
  } catch (error) {
    return fail(`${(error as Error).message}\n\n${USAGE}`);
  }
};
const { values, positionals } = parse();
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
const [principal, ...rest] = positionals;
const path = values.file ?? process.env.AUTH_TOKENS_FILE ?? "";
const days = Number(values.days ?? 0);
if (!principal || rest.length > 0) fail(USAGE);
if (!path) fail("Say where: --file FILE, or AUTH_TOKENS_FILE in the environment.");
if (values.days !== undefined && !(days > 0 && days <= 36_500)) fail(`--days must be a number above 0: ${values.days}`);

const end = values.days === undefined ? undefined : new Date(Date.now() + days * 86_400_000);
const made = await newToken(principal!, end).catch(() =>
  fail(`"${principal}" is no principal's name: letters, digits, ".", "_", "@" and "-", at most 128`),
);
// The coordinator may be another user, and no hash of a random secret leads back to it: everybody may read the file.
const file = await open(path, "a+", 0o644).catch((error: Error) => fail(error.message));
const { size } = await file.stat();
const last = size > 0 ? (await file.read(Buffer.alloc(1), 0, 1, size - 1)).buffer.toString() : "\n";
await file.appendFile(`${last === "\n" ? "" : "\n"}${made.line}\n`);
await file.close();
console.error(
  `Added to ${path}: principal ${principal}, ${end ? `until ${end.toISOString()}` : "without an end"}. Keep this, it is shown once:`,
);
console.log(made.token);
