import type { TEST_FRAMEWORKS } from "../../../shared/catalog/index.ts";
import { cargoTest } from "./cargo-test.ts";
import type { Framework } from "./framework.ts";
import { goTest } from "./go-test.ts";
import { jest } from "./jest.ts";
import { junit } from "./junit.ts";
import { mocha } from "./mocha.ts";
import { nodeTest } from "./node-test.ts";
import { pytest } from "./pytest.ts";
import { unittest } from "./unittest.ts";
import { vitest } from "./vitest.ts";

/** In the order in which a project is asked; one that only shows tests comes after those that name their runner. */
export const frameworks: Readonly<Record<(typeof TEST_FRAMEWORKS)[number], Framework>> = {
  vitest,
  jest,
  mocha,
  "node:test": nodeTest,
  pytest,
  unittest,
  "go test": goTest,
  "cargo test": cargoTest,
  junit,
};
