/** Folders that hold version control, installed packages or caches: neither searched nor compared unless asked for by path. */
export const NEVER_SOURCE: ReadonlySet<string> = new Set([
  ".git",
  ".hg",
  ".svn",
  "node_modules",
  "__pycache__",
  ".venv",
  ".tox",
  ".pytest_cache",
  ".mypy_cache",
  ".ruff_cache",
]);
