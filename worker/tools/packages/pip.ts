import { parseJson } from "../project/parse-json.ts";
import { PYTHON } from "../project/python.ts";
import { type PackageManager, shortened } from "./package-manager.ts";

const NAME = "[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?";
const VERSION = "(?:===|[=!<>~]=|<|>)[a-z0-9][a-z0-9.*+!_-]*";
const SPEC = new RegExp(`^(${NAME})(?:\\[${NAME}(?:,${NAME})*\\])?(?:${VERSION}(?:,${VERSION})*)?$`, "i");
/** pip takes such a name for a file of the folder that it runs in. */
const ARCHIVE = /\.(whl|zip|tar|tgz|tbz|txz|tlz|gz|bz2|xz|lz|lzma)$/i;

/** As PEP 503 compares names. */
export const normalizeName = (name: string): string => name.toLowerCase().replace(/[-_.]+/g, "-");

/**
 * Installs into the project's own virtual environment where it has one, else into the user's site in HOME: the image's
 * interpreter sees it, checkpoints hold it, and nothing has to be activated.
 */
export const pip: PackageManager = {
  name: "pip",
  nameOf: (spec) => {
    const name = ARCHIVE.test(spec) ? undefined : SPEC.exec(spec)?.[1];
    return name === undefined ? undefined : normalizeName(name);
  },
  isUsedBy: (project) =>
    project.has("pyproject.toml", "requirements.txt", "setup.py", "setup.cfg", "Pipfile", ".venv", "venv"),
  // Not in the workspace: `python -m` would import a pip.py of it, and pip take a folder there for a package.
  preparation: `${PYTHON}
case "$py" in */*) py="$PWD/$py";; esac
cd "$REPORTS"
"$py" -m pip --version >/dev/null || exit 127
in_venv=$("$py" -c 'import sys; print(int(sys.prefix != sys.base_prefix))')
[ "$in_venv" = 1 ] || export PIP_USER=1 PIP_BREAK_SYSTEM_PACKAGES=1
export PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1 PIP_NO_COLOR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_PROGRESS_BAR=off
install() {
  local key=$1 code; shift
  "$py" -m pip install --retries 1 -- "$@" 2>"$key.err"; code=$?
  cat "$key.err" >&2
  return $code
}
list() { "$py" -m pip list --format json >versions.json; }`,
  versions: async (folder) => {
    const list = parseJson(String((await folder.whole("versions.json")) ?? ""));
    const rows = (Array.isArray(list) ? list : []) as { name?: unknown; version?: unknown }[];
    return new Map(rows.map(({ name, version }) => [normalizeName(String(name)), String(version)]));
  },
  // It has no report of what failed: what it wrote of it is passed on, not understood.
  reason: async (folder, key) => {
    const said = String((await folder.whole(`${key}.err`)) ?? "");
    return shortened(said.replace(/^(ERROR|WARNING): /gm, ""));
  },
};
