import type { Project } from "./project.ts";

/**
 * The project's own virtual environment, else what the session's PATH has. Ends as bash does for a missing command.
 * Without bytecode files: they count as fresh when the source has the same size and second, as after a quick edit.
 */
export const PYTHON = `export PYTHONDONTWRITEBYTECODE=1
for py in .venv/bin/python venv/bin/python python python3; do
  command -v "$py" >/dev/null && break; py=; done
[ -n "$py" ] || { echo "there is no Python in this image" >&2; exit 127; }`;

export const findPythonTests = async (project: Project): Promise<string[]> => [
  ...(await project.find("**/test_*.py")),
  ...(await project.find("**/*_test.py")),
  ...(await project.find("**/test.py")),
  ...(await project.find("**/tests.py")),
];

export const findPythonSources = async (project: Project): Promise<string[]> => await project.find("**/*.py");

/** Ends as bash does for a missing command, unless it is in the project's virtual environment or on the PATH. */
export const pythonTool = (tool: string): string => `export PATH="$PWD/.venv/bin:$PWD/venv/bin:$PATH"
command -v ${tool} >/dev/null || exit 127`;
