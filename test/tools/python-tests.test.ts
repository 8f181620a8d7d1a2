import { expect } from "chai";
import { eventually } from "../support/eventually.ts";
import { failureOf } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { useProjects } from "../support/use-project.ts";

const SHOP = `def total(prices, discount=0):
    return sum(prices) - discount


def cheapest(prices):
    return max(prices)
`;
const SHOP_TESTS = `import pytest
from shop import cheapest, total


def test_total():
    assert total([1, 2, 3]) == 6


@pytest.mark.parametrize("prices, price", [([3, 1], 1), ([2], 2)])
def test_cheapest(prices, price):
    assert cheapest(prices) == price


@pytest.mark.skip(reason="later")
def test_discount():
    assert total([5], 1) == 4
`;
const CALC_TESTS = `import unittest

from calc import add


class AddTest(unittest.TestCase):
    def test_numbers(self):
        self.assertEqual(add(1, 2), 3)

    def test_texts(self):
        self.assertEqual(add("a", "b"), "ab")

    @unittest.skip("later")
    def test_more(self):
        self.fail()
`;

describe("run_tests for Python", function () {
  this.timeout(600_000);
  const cluster = useCluster();
  const project = useProjects(cluster);

  it("runs pytest, says what failed and where, and follows the fix", async () => {
    const shop = await project("python", { "shop.py": SHOP, "tests/test_shop.py": SHOP_TESTS, "conftest.py": "" });
    const first = await shop.done("run_tests");
    expect(first).to.include({ framework: "pytest", status: "failed", exit_code: 1 });
    expect(first.summary).to.include({ total: 4, passed: 2, failed: 1, skipped: 1, errors: 0 });
    const [failure] = first.failures;
    const id = "tests/test_shop.py::test_cheapest[prices0-1]";
    expect(failure).to.include({ id, file: "tests/test_shop.py", line: 11 });
    expect(failure?.message).to.include("assert 3 == 1");
    expect(first).to.not.have.property("delta");
    expect(first.text).to.match(/^pytest: some failed: 2 passed, 1 failed, 1 skipped of 4 in /);
    expect(first.text).to.include(`--- ${id}  tests/test_shop.py:11 ---`);

    const again = await shop.done("run_tests", { only_failed: true });
    expect(again.summary).to.include({ total: 1, failed: 1 });
    expect(again.delta).to.deep.equal({ newly_failing: [], fixed: [] });

    await shop.write("shop.py", SHOP.replace("max(", "min(").replace("- discount", "+ 1"));
    const broken = await shop.done("run_tests");
    expect(broken.delta).to.deep.equal({ newly_failing: ["tests/test_shop.py::test_total"], fixed: [id] });
    expect(broken.text).to.include(`\nfixed: ${id}`);

    await shop.write("shop.py", SHOP.replace("max(", "min("));
    const fixed = await shop.done("run_tests", { only_failed: true });
    expect(fixed).to.include({ status: "passed", exit_code: 0 });
    expect(fixed.delta?.fixed).to.deep.equal(["tests/test_shop.py::test_total"]);
    expect(await shop.done("run_tests", { only_failed: true })).to.include({ status: "no_tests" });
    expect((await shop.done("run_command", { command: "git init -q . && git status --short --ignored" })) as object)
      .to.have.property("stdout")
      .that.does.not.include("codegen");
  });

  it("chooses by paths and by filter", async () => {
    const shop = await project("python", {
      "shop.py": SHOP,
      "test_shop.py": SHOP_TESTS,
      "test_other.py": "def test_other(): pass\n",
    });
    expect((await shop.done("run_tests", { paths: ["test_other.py"] })).summary).to.include({ total: 1, passed: 1 });
    expect((await shop.done("run_tests", { filter: "total or other" })).summary).to.include({ total: 2, passed: 2 });
    const one = await shop.done("run_tests", { paths: ["test_shop.py::test_total"] });
    expect(one.summary).to.include({ total: 1, passed: 1 });
    expect(await shop.done("run_tests", { filter: "nothing_is_called_so" })).to.include({ status: "no_tests" });
  });

  it("finds the one project in a folder, and tells collection errors from failures", async () => {
    const clone = await project("python", {
      "clone/setup.cfg": "[tool:pytest]\n",
      "clone/test_a.py": "import not_there\n",
      "clone/test_b.py": "def test_b(): pass\n",
      "README.md": "",
    });
    const run = await clone.done("run_tests");
    expect(run).to.include({ framework: "pytest", status: "collection_error" });
    expect(run.summary).to.include({ errors: 1 });
    expect(run.failures[0]).to.include({ id: "test_a.py", file: "clone/test_a.py" });
    expect(run.failures[0]?.message).to.include("No module named 'not_there'");
  });

  it("says when the runner breaks off, is killed, or finds nothing", async () => {
    const files = {
      "conftest.py": "",
      "test_a.py": "import os\ndef test_good(): pass\ndef test_crash(): os._exit(9)\n",
      "test_slow.py": "import time\ndef test_slow(): time.sleep(60)\n",
    };
    const bad = await project("python", files);
    const crashed = await bad.done("run_tests", { paths: ["test_a.py"] });
    expect(crashed).to.include({ status: "crashed", exit_code: 9 });
    expect(crashed.summary).to.include({ total: 1, passed: 1 });
    expect(crashed.output).to.include("test_a.py");

    const slow = await bad.done("run_tests", { paths: ["test_slow.py"], timeout_ms: 1_000 });
    expect(slow).to.include({ status: "timed_out", exit_code: null });

    const usage = await bad.done("run_tests", { filter: "not (" });
    expect(usage).to.include({ status: "crashed", exit_code: 4 });
    expect(usage.output).to.include("not (");
  });

  it("runs unittest where nothing speaks of pytest", async () => {
    const calc = await project("python", {
      "calc.py": "def add(a, b):\n    return a - b\n",
      "tests/__init__.py": "",
      "tests/test_calc.py": CALC_TESTS,
    });
    const first = await calc.done("run_tests");
    expect(first).to.include({ framework: "unittest", status: "failed" });
    expect(first.summary).to.include({ total: 3, passed: 0, failed: 2, skipped: 1 });
    expect(first.failures.map(({ id }) => id)).to.deep.equal([
      "tests.test_calc.AddTest.test_numbers",
      "tests.test_calc.AddTest.test_texts",
    ]);
    expect(first.failures[0]).to.include({ file: "tests/test_calc.py", line: 8 });
    expect(first.failures[0]?.message).to.include("-1 != 3");

    await calc.write("calc.py", "def add(a, b):\n    return a + b\n");
    const fixed = await calc.done("run_tests", { only_failed: true });
    expect(fixed).to.include({ status: "passed" });
    expect(fixed.summary).to.include({ total: 2, passed: 2 });
    expect(fixed.delta?.fixed).to.have.length(2);
    expect((await calc.done("run_tests", { filter: "numbers" })).summary).to.include({ total: 1 });
    expect((await calc.done("run_tests", { paths: ["tests/test_calc.py"] })).summary).to.include({ total: 3 });

    await calc.write("tests/test_broken.py", "import not_there\n");
    const broken = await calc.done("run_tests");
    expect(broken).to.include({ status: "collection_error" });
    expect(broken.failures[0]?.message).to.include("not_there");
  });

  it("reads the JUnit XML that any command leaves, and no older one", async () => {
    const files = { "shop.py": SHOP, "test_shop.py": SHOP_TESTS, "reports/TEST-old.xml": "<testsuite/>" };
    const shop = await project("python", files);
    const run = await shop.done("run_tests", { command: "pytest --junitxml=reports/TEST-shop.xml" });
    expect(run).to.include({ framework: "junit", status: "failed", exit_code: 1 });
    expect(run.summary).to.include({ total: 4, passed: 2, failed: 1, skipped: 1, errors: 0 });
    expect(run.failures[0]).to.include({ id: "test_shop.test_cheapest[prices0-1]" });
    expect(run.failures[0]?.message).to.include("assert 3 == 1");

    const none = await shop.done("run_tests", { framework: "junit", command: "true" });
    expect(none).to.include({ status: "crashed" });
    const malformed = await shop.done("run_tests", {
      command: "echo '<testsuite><testcase' > reports/bad.xml",
      paths: ["reports"],
    });
    expect(malformed).to.include({ status: "collection_error" });
    expect(malformed.failures[0]).to.include({ id: "reports/bad.xml", file: "reports/bad.xml" });
  });

  it("goes on past its wait, and when killed tells what it knew", async () => {
    const slow = await project("python", {
      "test_slow.py":
        "import time\ndef test_first(): pass\ndef test_slow():\n    open('started', 'w').close()\n    time.sleep(600)\n",
    });
    const killed = await slow.killedOnce("started");
    expect(killed).to.include({ status: "killed", framework: "pytest" });
    expect(killed.summary).to.include({ total: 1, passed: 1 });
    expect(killed.text).to.include("pytest: was killed: 1 passed");
  });

  it("answers with where to follow it", async () => {
    const slow = await project("python", { "test_slow.py": "import time\ndef test_slow(): time.sleep(600)\n" });
    const { structured, text } = await slow.call("run_tests", { wait_ms: 0 });
    expect(text).to.include(`${structured.call_id} is ${structured.status}; get_call gives its result`);
    const id = await eventually("its process is known", async () => {
      return (await slow.call("get_call", { call_id: structured.call_id })).structured.process_id;
    });
    expect((await slow.call("list_processes")).text).to.match(new RegExp(`^${id}  running .* run_tests$`, "m"));
  });

  it("explains what it cannot do", async () => {
    const empty = await project("python", { "a/x_test.go": "", "a/go.mod": "module a\n", "b/go.mod": "module b\n" });
    const code = async (args: Record<string, unknown>) => failureOf(await empty.call("run_tests", args));
    expect(await code({})).to.equal("INVALID_ARGUMENT"); // two projects
    expect(await code({ framework: "go test", paths: ["a"] })).to.equal("NOT_FOUND"); // no Go in this image
    expect(await code({ framework: "pytest", only_failed: true })).to.equal("INVALID_ARGUMENT");
    expect(await code({ paths: ["../../etc"] })).to.equal("PATH_OUTSIDE_WORKSPACE");
    expect(await code({ paths: ["--help"] })).to.equal("INVALID_ARGUMENT");
    expect(await code({ framework: "junit" })).to.equal("INVALID_ARGUMENT");
    expect(await code({ framework: "jest", command: "true" })).to.equal("INVALID_ARGUMENT");
    expect(await code({ framework: "perl" })).to.equal("INVALID_ARGUMENT");
    const nothing = await project("python", { "README.md": "" });
    expect(failureOf(await nothing.call("run_tests"))).to.equal("NOT_FOUND");
  });
});
