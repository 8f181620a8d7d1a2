/** A small real project with a bug, and how an agent goes about it. */
export interface Project {
  image: string;
  title: string;
  /** Creates every file of the project. */
  files: Record<string, string>;
  /** How many tests it has; one of them fails. */
  tests: number;
  search: Record<string, unknown>;
  read: { path: string; offset: number; limit: number };
  edit: { path: string; old_string: string; new_string: string };
}

const python: Project = {
  image: "python",
  title: "Python: a parser of durations",
  files: {
    "durations/__init__.py": 'from .parse import parse\n\n__all__ = ["parse"]\n',
    "durations/parse.py": `import re

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
PART = re.compile(r"(\\d+)([smhd])")


def parse(text):
    """Seconds of a duration such as 1h30m. Raises ValueError for anything else."""
    seconds = 0
    position = 0
    for match in PART.finditer(text):
        if match.start() != position:
            raise ValueError(f"not a duration: {text!r}")
        seconds = int(match[1]) * UNITS[match[2]]
        position = match.end()
    if position == 0 or position != len(text):
        raise ValueError(f"not a duration: {text!r}")
    return seconds
`,
    "tests/test_parse.py": `import pytest

from durations import parse


@pytest.mark.parametrize("text, seconds", [("5s", 5), ("2m", 120), ("1h30m", 5400)])
def test_durations(text, seconds):
    assert parse(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "1h 30m", "h"])
def test_others_are_refused(text):
    with pytest.raises(ValueError):
        parse(text)
`,
    "pyproject.toml":
      '[project]\nname = "durations"\nversion = "0.1.0"\n\n[tool.pytest.ini_options]\npythonpath = ["."]\n',
    ".gitignore": "__pycache__/\n.pytest_cache/\n",
  },
  tests: 7,
  search: { pattern: "seconds\\s*\\+?=", glob: "*.py" },
  read: { path: "durations/parse.py", offset: 7, limit: 11 },
  edit: {
    path: "durations/parse.py",
    old_string: "        seconds = int(match[1]) * UNITS[match[2]]\n",
    new_string: "        seconds += int(match[1]) * UNITS[match[2]]\n",
  },
};

const node: Project = {
  image: "node",
  title: "JavaScript: a cache that forgets",
  files: {
    "package.json":
      '{\n  "name": "lru",\n  "version": "1.0.0",\n  "type": "module",\n  "scripts": { "test": "node --test" }\n}\n',
    "lru.js": `/** Keeps the \`limit\` entries that were used last. */
export class Lru {
  #entries = new Map();

  constructor(limit) {
    this.limit = limit;
  }

  get(key) {
    return this.#entries.get(key);
  }

  set(key, value) {
    this.#entries.delete(key);
    this.#entries.set(key, value);
    if (this.#entries.size > this.limit) this.#entries.delete(this.#entries.keys().next().value);
  }
}
`,
    "lru.test.js": `import assert from "node:assert/strict";
import test from "node:test";
import { Lru } from "./lru.js";

test("keeps what it is given", () => {
  const lru = new Lru(2);
  lru.set("a", 1);
  assert.equal(lru.get("a"), 1);
});

test("forgets what was not used for longest", () => {
  const lru = new Lru(2);
  lru.set("a", 1);
  lru.set("b", 2);
  lru.get("a");
  lru.set("c", 3);
  assert.equal(lru.get("a"), 1);
  assert.equal(lru.get("b"), undefined);
});
`,
  },
  tests: 2,
  search: { pattern: "get(key)", literal: true },
  read: { path: "lru.js", offset: 9, limit: 9 },
  edit: {
    path: "lru.js",
    old_string: "    return this.#entries.get(key);\n",
    new_string:
      "    const value = this.#entries.get(key);\n    if (this.#entries.delete(key)) this.#entries.set(key, value);\n    return value;\n",
  },
};

const go: Project = {
  image: "polyglot",
  title: "Go: a word counter",
  files: {
    "go.mod": "module example.com/words\n\ngo 1.19\n",
    "words.go": `// Package words counts words.
package words

import "strings"

// Count tells how often each word occurs in text, whatever its case.
func Count(text string) map[string]int {
	counts := map[string]int{}
	for _, word := range strings.Fields(text) {
		counts[strings.Trim(word, ".,;:!?")]++
	}
	return counts
}
`,
    "words_test.go": `package words

import "testing"

func TestCount(t *testing.T) {
	counts := Count("The quick fox, the lazy dog.")
	for word, want := range map[string]int{"the": 2, "fox": 1, "dog": 1} {
		if counts[word] != want {
			t.Errorf("Count of %q is %d, not %d", word, counts[word], want)
		}
	}
}
`,
  },
  tests: 1,
  search: { pattern: "strings\\.\\w+", mode: "count" },
  read: { path: "words.go", offset: 7, limit: 7 },
  edit: {
    path: "words.go",
    old_string: 'counts[strings.Trim(word, ".,;:!?")]++',
    new_string: 'counts[strings.ToLower(strings.Trim(word, ".,;:!?"))]++',
  },
};

export const projects: readonly Project[] = [python, node, go];

/** All of a project's files, as one patch. */
export const patchOf = ({ files }: Project): string => {
  const parts = Object.entries(files).map(([path, content]) => {
    const lines = content.trimEnd().split("\n");
    return `*** Add File: ${path}\n${lines.map((line) => `+${line}\n`).join("")}`;
  });
  return `*** Begin Patch\n${parts.join("")}*** End Patch\n`;
};
