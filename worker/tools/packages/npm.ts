import { parseJson } from "../project/parse-json.ts";
import { type PackageManager, shortened } from "./package-manager.ts";

const WORD = "[a-z0-9_][a-z0-9._~-]*";
const SPEC = new RegExp(`^((?:@${WORD}/)?${WORD})(?:@(?:\\^|~|[<>]=?|=)?[a-z0-9*][a-z0-9.*+-]*)?$`, "i");
/** npm takes these for files. */
const ARCHIVE = /\.(tgz|tar|tar\.gz)$/i;

/** Installs into the project: package.json, which is made where there is none, and node_modules. */
export const npm: PackageManager = {
  name: "npm",
  nameOf: (spec) => (ARCHIVE.test(spec) ? undefined : SPEC.exec(spec)?.[1]),
  isUsedBy: (project) => project.has("package.json"),
  preparation: `command -v npm >/dev/null || { echo "there is no npm in this image" >&2; exit 127; }
export npm_config_cache=$(mktemp -d) npm_config_loglevel=error
export npm_config_fetch_retries=2 npm_config_fetch_retry_mintimeout=500 npm_config_fetch_retry_maxtimeout=2000
export npm_config_audit=false npm_config_fund=false npm_config_progress=false npm_config_update_notifier=false
trap 'rm -rf "$npm_config_cache"' EXIT
install() {
  local key=$1 code; shift
  npm install --json --prefix "$PWD" -- "$@" >"$REPORTS/$key.out" 2>"$REPORTS/$key.err"; code=$?
  cat "$REPORTS/$key.out" "$REPORTS/$key.err" >&2
  return $code
}
list() { npm ls --json --depth=0 --prefix "$PWD" >"$REPORTS/versions.json" 2>/dev/null; }`,
  versions: async (folder) => {
    const list = parseJson(String((await folder.whole("versions.json")) ?? "")) as Listed | undefined;
    const rows = Object.entries(list?.dependencies ?? {});
    return new Map(rows.flatMap(([name, row]) => (row?.version ? [[name, String(row.version)] as const] : [])));
  },
  reason: async (folder, key) => {
    const said = parseJson(String((await folder.whole(`${key}.out`)) ?? "")) as Failed | undefined;
    const { code, summary, detail } = said?.error ?? {};
    const told = [code, summary].filter(Boolean).join(": ") || detail;
    return shortened(String(told ?? (await folder.whole(`${key}.err`)) ?? ""));
  },
};

interface Listed {
  dependencies?: Record<string, { version?: unknown } | null>;
}
interface Failed {
  error?: { code?: unknown; summary?: unknown; detail?: unknown };
}
