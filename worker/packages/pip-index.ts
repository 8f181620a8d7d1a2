import { type Digest, parseUrl, toDigest } from "./upstream.ts";

/** A file that an index offers. */
export interface PipFile {
  name: string;
  url: URL;
  digest: Digest | undefined;
  requiresPython: string | undefined;
  /** Why it was withdrawn, maybe empty; undefined when it was not. */
  yanked: string | undefined;
}

export const PIP_ACCEPT = "application/vnd.pypi.simple.v1+html, text/html;q=0.5";
const LINK = /<a\b([^>]*)>/gi;
const FILE_NAME = /^[\w.+!-]{1,255}$/;

const attribute = (tag: string, name: string): string | undefined => {
  const [, double, single] = new RegExp(`(?:^|\\s)${name}(?:\\s*=\\s*(?:"([^"]*)"|'([^']*)'))?`, "i").exec(tag) ?? [];
  const has = new RegExp(`(?:^|\\s)${name}(?=[\\s=]|$)`, "i").test(tag);
  return has ? unescapeHtml(double ?? single ?? "") : undefined;
};

const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
const unescapeHtml = (text: string): string =>
  text.replace(/&(?:#(\d{1,6})|#x([0-9a-f]{1,5})|(\w+));/gi, (whole, decimal, hex, name) =>
    name
      ? (ENTITIES[name.toLowerCase()] ?? whole)
      : String.fromCodePoint(decimal ? Number(decimal) : Number.parseInt(hex, 16)),
  );
const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

/** The files that a page of the simple index (PEP 503) offers. @param base where it was found */
export const pipFiles = (html: string, base: string): PipFile[] => {
  const files = new Map<string, PipFile>();
  for (const [, tag = ""] of html.matchAll(LINK)) {
    const href = attribute(tag, "href");
    const url = href === undefined ? undefined : parseUrl(href.trim(), base);
    if (!url) continue;
    const name = decoded(url.pathname.split("/").at(-1) ?? "");
    if (!FILE_NAME.test(name) || files.has(name)) continue;
    const [algorithm = "", hex = ""] = url.hash.slice(1).split("=");
    url.hash = "";
    const [requiresPython, yanked] = [attribute(tag, "data-requires-python"), attribute(tag, "data-yanked")];
    files.set(name, { name, url, digest: toDigest(algorithm, hex), requiresPython, yanked });
  }
  return [...files.values()];
};

/** A page that offers the same files, below its own URL. */
export const pipPage = (project: string, files: readonly PipFile[]): string => {
  const lines = files.map(({ name, digest, requiresPython, yanked }) => {
    const hash = digest ? `#${digest.algorithm}=${digest.hex}` : "";
    const python = requiresPython === undefined ? "" : ` data-requires-python="${escapeHtml(requiresPython)}"`;
    const withdrawn = yanked === undefined ? "" : ` data-yanked="${escapeHtml(yanked)}"`;
    return `<a href="${encodeURIComponent(name)}${hash}"${python}${withdrawn}>${escapeHtml(name)}</a><br>`;
  });
  return `<!DOCTYPE html><html><head><title>${escapeHtml(project)}</title></head><body>\n${lines.join("\n")}\n</body></html>\n`;
};

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
};
