import { expect } from "chai";
import { outputLogPath } from "../../shared/output-log-path.ts";
import type { TestSandbox } from "../../test/support/test-sandbox.ts";
import { useDocker } from "../../test/support/use-docker.ts";

/** The tests' disk has 64 MB: all logs together get a quarter, one half of that. */
const BOUND = 8 * 1024 * 1024;

describe("The log of a long output", () => {
  const docker = useDocker();
  let sandbox: TestSandbox;
  before(async () => {
    sandbox = await docker.shared();
  });
  const logOf = (processId: string): string => outputLogPath("/home/dev/workspace", processId);
  const start = async (command: string) => {
    const { processId, exit } = await sandbox.start(command);
    return { path: logOf(processId), ...(await exit) };
  };

  it("holds all of it, both streams as they came", async () => {
    const command = "seq 20000; echo middle >&2; seq 20000 40000";
    const { path, logBytes, outputBytes } = await start(command);
    expect(logBytes).to.equal(outputBytes);
    // What came by the other stream may stand within a line.
    const check = await sandbox.run(
      `grep -c middle ${path}; perl -0pe 's/middle\\n//' ${path} | cmp - <(seq 20000; seq 20000 40000)`,
    );
    expect(check).to.include({ exitCode: 0, stdout: "1\n" });
  });

  it("is not begun for a short one", async () => {
    const { path, logBytes } = await start("seq 1000");
    expect(logBytes).to.equal(0);
    expect((await sandbox.run(`test -e ${path}`)).exitCode).to.equal(1);
  });

  it("stops at its bound, keeps the first bytes, and old ones make room", async () => {
    const paths: string[] = [];
    for (let i = 0; i < 4; i++) {
      const { path, logBytes, outputBytes, exitCode } = await start("yes 'a line of text' | head -c 10000000");
      expect({ logBytes, outputBytes, exitCode }).to.deep.equal({
        logBytes: BOUND,
        outputBytes: 10_000_000,
        exitCode: 0,
      });
      paths.push(path);
    }
    const { stdout } = await sandbox.run(
      `ls ${paths.join(" ")} 2>/dev/null; du -cb ~/.cache/codegen-mcp/*.log | tail -1`,
    );
    expect(stdout).to.include(paths[3]).and.to.not.include(paths[0]);
    expect(Number(stdout.split("\n").at(-2)?.split("\t")[0])).to.be.at.most(2 * BOUND);
  });

  it("ends without harm where the disk is full or something is in its way", async () => {
    await sandbox.run("rm -rf ~/.cache; echo mine > ~/.cache");
    expect(await start("seq 50000")).to.include({ exitCode: 0, logBytes: 0, outputBytes: 288_894 });
    await sandbox.run("rm ~/.cache; head -c 1G /dev/zero > fill");
    expect(await start("seq 50000")).to.include({ exitCode: 0, outputBytes: 288_894 });
    await sandbox.run("rm fill");
  });
});
