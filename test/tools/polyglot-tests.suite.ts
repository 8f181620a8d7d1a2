import { expect } from "chai";
import { useCluster } from "../support/use-cluster.ts";
import { useProjects } from "../support/use-project.ts";

const GO = {
  "go.mod": "module example.com/math\n\ngo 1.19\n",
  "math.go": "package math\n\nfunc Half(a int) int { return a * 2 }\n",
  "math_test.go": `package math

import "testing"

func TestHalf(t *testing.T) {
	for name, want := range map[string]int{"zero": 0, "four": 2} {
		t.Run(name, func(t *testing.T) {
			if got := Half(want * 2); got != want {
				t.Errorf("Half(%d) is %d", want*2, got)
			}
		})
	}
}

func TestLater(t *testing.T) { t.Skip("later") }
`,
  "sub/sub.go": "package sub\n",
  "sub/sub_test.go": 'package sub\n\nimport "testing"\n\nfunc TestSub(t *testing.T) {}\n',
};

const RUST = {
  "Cargo.toml": '[package]\nname = "shapes"\nversion = "0.1.0"\nedition = "2021"\n',
  "src/lib.rs": `pub fn half(a: i32) -> i32 {
    a * 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero() {
        assert_eq!(half(0), 0);
    }

    #[test]
    fn four() {
        println!("about to fail");
        assert_eq!(half(4), 2);
    }

    #[test]
    #[ignore]
    fn later() {}
}
`,
  "tests/whole.rs": "#[test]\nfn halves() {\n    assert_eq!(shapes::half(0), 0);\n}\n",
};

const JAVA = {
  "src/MathTest.java": `import static org.junit.jupiter.api.Assertions.assertEquals;
import org.junit.jupiter.api.Test;

class MathTest {
  @Test void adds() { assertEquals(3, 1 + 2); }
  @Test void halves() { assertEquals(2, 4 * 2, "half of four"); }
}
`,
};
const JUNIT = `mkdir -p out && javac -cp /usr/share/java/junit-jupiter-api.jar:/usr/share/java/apiguardian-api.jar -d out src/*.java &&
java -jar /usr/share/java/junit-platform-console-standalone.jar -cp out --scan-classpath --reports-dir reports`;

describe("run_tests in the polyglot image", function () {
  this.timeout(600_000);
  const project = useProjects(useCluster({ WORKSPACE_MB: "512", POOL_SIZE: "1" }));

  it("runs go test, follows a fix, and tells what does not build", async () => {
    const math = await project("polyglot", GO);
    const first = await math.done("run_tests");
    expect(first).to.include({ framework: "go test", status: "failed" });
    expect(first.summary).to.include({ total: 4, passed: 2, failed: 1, skipped: 1, errors: 0 });
    const id = "example.com/math::TestHalf/four";
    expect(first.failures[0]).to.include({ id, file: "math_test.go", line: 9 });
    expect(first.failures[0]?.message).to.include("Half(4) is 8");

    await math.write("math.go", GO["math.go"].replace("a * 2", "a / 2"));
    const fixed = await math.done("run_tests", { only_failed: true });
    expect(fixed).to.include({ status: "passed" });
    expect(fixed.delta).to.deep.equal({ newly_failing: [], fixed: [id] });
    expect((await math.done("run_tests", { paths: ["sub"] })).summary).to.include({ total: 1, passed: 1 });
    expect((await math.done("run_tests", { filter: "TestHalf/zero" })).summary).to.include({ total: 1, passed: 1 });

    await math.write("sub/sub.go", "package sub\n\nvar x int = nothing\n");
    const broken = await math.done("run_tests");
    expect(broken).to.include({ status: "collection_error" });
    expect(broken.summary).to.include({ passed: 2, errors: 1 });
    expect(broken.failures[0]).to.include({ id: "example.com/math/sub", file: "sub/sub.go", line: 3 });
  });

  it("runs cargo test, follows a fix, and tells what does not build", async () => {
    const shapes = await project("polyglot", RUST);
    const first = await shapes.done("run_tests");
    expect(first).to.include({ framework: "cargo test", status: "failed" });
    expect(first.summary).to.include({ total: 4, passed: 2, failed: 1, skipped: 1, errors: 0 });
    expect(first.failures[0]).to.include({ id: "src/lib.rs::tests::four", file: "src/lib.rs", line: 17 });
    expect(first.failures[0]?.message).to.include("about to fail").and.to.include("assertion failed");

    await shapes.write("src/lib.rs", RUST["src/lib.rs"].replace("a * 2", "a / 2"));
    const fixed = await shapes.done("run_tests", { only_failed: true });
    expect(fixed).to.include({ status: "passed" });
    expect(fixed.delta).to.deep.equal({ newly_failing: [], fixed: ["src/lib.rs::tests::four"] });
    expect((await shapes.done("run_tests", { paths: ["tests/whole.rs"] })).summary).to.include({ total: 1, passed: 1 });

    await shapes.write("src/lib.rs", "pub fn half(a: i32) -> i32 {\n    nothing(a)\n}\n");
    const broken = await shapes.done("run_tests");
    expect(broken).to.include({ status: "collection_error" });
    expect(broken.failures[0]).to.include({ file: "src/lib.rs", line: 2 });
    expect(broken.failures[0]?.message).to.include("cannot find function `nothing`");
  });

  it("reads what JUnit itself leaves", async () => {
    const java = await project("polyglot", JAVA);
    const run = await java.done("run_tests", { command: JUNIT });
    expect(run).to.include({ framework: "junit", status: "failed" });
    expect(run.summary).to.include({ total: 2, passed: 1, failed: 1 });
    expect(run.failures[0]?.id).to.match(/MathTest.*halves/);
    expect(run.failures[0]?.message).to.include("half of four");
  });

  it("has everything that the other images have", async () => {
    const all = await project("polyglot", { "test_a.py": "def test_a(): pass\n" });
    expect(await all.done("run_tests")).to.include({ framework: "pytest", status: "passed" });
    const { stdout } = (await all.done("run_command", {
      command:
        "for tool in node npm tsc eslint mocha flake8 mypy gcc make java rg git; do command -v $tool; done | wc -l",
    })) as unknown as { stdout: string };
    expect(stdout.trim()).to.equal("12");
  });
});
