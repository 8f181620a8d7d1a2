import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { randomText } from "../../shared/ids.ts";

/**
 * One token as its line in the file says it: `<id> <principal> <hash> [<end>]`, where the hash is a PHC string
 * `$scrypt$ln=15,r=8,p=1$<salt>$<hash>` and the end, if any, an ISO time. A token itself is `cgm_<id>_<secret>`: the id
 * finds the line, so that a wrong token costs no more than one hash.
 */
export interface TokenEntry {
  id: string;
  principal: string;
  salt: Buffer;
  hash: Buffer;
  cost: { ln: number; r: number; p: number };
  /** ms; infinite for none. */
  expiresAt: number;
  line: string;
}

const hashOf = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt);

const ID_CHARACTERS = 12;
/** 260 bits. */
const SECRET_CHARACTERS = 52;
const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** 32 MiB and about 0.1 s a token on one core here. */
const COST = { ln: 15, r: 8, p: 1 };
/** No line may make us take more than this. */
const MAX_MEMORY_BYTES = 160 * 1024 * 1024;

const TOKEN = /^cgm_([0-9a-z]{4,32})_([0-9A-Za-z]{16,128})$/;
const LINE =
  /^([0-9a-z]{4,32})\s+([A-Za-z0-9][A-Za-z0-9._@-]{0,127})\s+(\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{22,86})\$([A-Za-z0-9+/]{43,86}))(?:\s+(\S+))?$/;

/** @throws {Error} that says what is wrong, and nothing of the hash */
export const parseTokenLine = (line: string): TokenEntry => {
  const [, id, principal, , ln, r, p, salt, hash, end] = LINE.exec(line) ?? [];
  if (!id || !principal || !salt || !hash) throw new Error("is not `<id> <principal> <scrypt hash> [<end>]`");
  const cost = { ln: Number(ln), r: Number(r), p: Number(p) };
  if (cost.ln < 1 || cost.r < 1 || cost.p < 1 || cost.p > 4 || memoryOf(cost) > MAX_MEMORY_BYTES)
    throw new Error("has costs of scrypt out of bounds");
  const expiresAt = end === undefined ? Number.POSITIVE_INFINITY : Date.parse(end);
  if (Number.isNaN(expiresAt)) throw new Error("ends at what is no time");
  const bytes = { salt: Buffer.from(salt, "base64"), hash: Buffer.from(hash, "base64") };
  return { id, principal, ...bytes, cost, expiresAt, line };
};

/** @returns the parts of a token of ours; undefined for any other text */
export const parseToken = (token: string): { id: string; secret: string } | undefined => {
  const [, id, secret] = TOKEN.exec(token) ?? [];
  return id && secret ? { id, secret } : undefined;
};

/** Makes a token and its line. The token stands nowhere but in the answer. @throws {Error} for a principal that no line can name */
export const newToken = async (
  principal: string,
  end: Date | undefined,
  cost = COST,
): Promise<{ token: string; line: string }> => {
  const id = randomText(ID_CHARACTERS);
  const secret = randomText(SECRET_CHARACTERS);
  const salt = randomBytes(SALT_BYTES);
  const hash = await hashOf(secret, salt, HASH_BYTES, optionsOf(cost));
  const phc = `$scrypt$ln=${cost.ln},r=${cost.r},p=${cost.p}$${base64(salt)}$${base64(hash)}`;
  const line = [id, principal, phc, ...(end ? [end.toISOString()] : [])].join(" ");
  parseTokenLine(line);
  return { token: `cgm_${id}_${secret}`, line };
};

/** Takes as long as its cost says, on another thread. */
export const isSecretOf = async ({ salt, hash, cost }: TokenEntry, secret: string): Promise<boolean> =>
  timingSafeEqual(await hashOf(secret, salt, hash.length, optionsOf(cost)), hash);

const memoryOf = ({ ln, r }: TokenEntry["cost"]): number => 128 * 2 ** ln * r;
const optionsOf = (cost: TokenEntry["cost"]): ScryptOptions => ({
  cost: 2 ** cost.ln,
  blockSize: cost.r,
  parallelization: cost.p,
  maxmem: 2 * MAX_MEMORY_BYTES,
});
/** PHC strings leave the padding out. */
const base64 = (bytes: Buffer): string => bytes.toString("base64").replace(/=+$/, "");
