import { expect } from "chai";
import type { TestSandbox } from "../../../test/support/test-sandbox.ts";
import { useDocker } from "../../../test/support/use-docker.ts";

describe("A sandbox's memory of its workspace", () => {
  const docker = useDocker();
  let owner: TestSandbox;
  before(async () => {
    owner = await docker.shared();
  });
  beforeEach(async () => {
    await owner.run("find . -mindepth 1 -delete");
    owner.sandbox.markWorkspace(true);
  });

  /** A call, as a session's lane makes it. */
  const call = async (command: string): Promise<void> => {
    expect((await owner.run(command)).exitCode, command).to.equal(0);
    owner.sandbox.markWorkspace();
  };
  const changed = async (since: string): Promise<string[]> =>
    (await owner.sandbox.diffWorkspace({ since, path: "" })).changes.map(({ path }) => path);

  it("tells calls apart, also those that follow each other at once", async () => {
    await call("seq 400 | xargs -I{} touch f{}");
    for (const name of ["a", "b", "c"]) await call(`echo ${name} > ${name}; echo ${name} > f1`);
    expect(await changed("last_call")).to.deep.equal(["c", "f1"]);
    expect(await changed("session")).to.have.length(403);
  });

  it("sees a change that leaves a file's size and age as they were", async () => {
    await call("printf 1 > f; touch -d 2020-01-01 f");
    await call("printf 2 > f; touch -d 2020-01-01 f");
    expect(await changed("last_call")).to.deep.equal(["f"]);
    await call("touch f");
    expect(await changed("last_call"), "an age alone is no change").to.deep.equal([]);
  });

  it("never loses a call of a large workspace, though it may tell two as one", async () => {
    await call("mkdir d; seq 2000 | xargs touch; seq 2000 | sed s,^,d/, | xargs touch");
    await call("echo x > d/x");
    await call("echo y > y");
    const last = (path: string) => owner.sandbox.diffWorkspace({ since: "last_call", path });
    expect((await last("y")).changes).to.have.length(1);
    const { changes, calls } = await last("d/x");
    expect(changes, "its own call is told with the last one, or is over").to.have.length(calls === 1 ? 0 : 1);
  });

  it("begins with what a session was begun with", async () => {
    await call("echo old > kept; echo old > changed");
    owner.sandbox.markWorkspace(true);
    await call("echo new > changed");
    const { changes } = await owner.sandbox.diffWorkspace({ since: "session", path: "" });
    expect(changes.map(({ path, oldContent }) => [path, String(oldContent)])).to.deep.equal([["changed", "old\n"]]);
  });

  it("says so when it does not know", async () => {
    const codeOf = (): Promise<unknown> =>
      owner.sandbox.diffWorkspace({ since: "session" }).then(
        () => "it knew",
        (error) => error.code,
      );
    await call("echo x > x");
    await call("rm -rf /tmp/.codegen-history; echo y > x");
    const { changes } = await owner.sandbox.diffWorkspace({ since: "last_call", path: "x" });
    expect(changes).to.have.length(1);
    expect(changes[0]).to.include({ path: "x", withoutContent: "unknown" });
    const restarted = owner.restarted();
    await owner.run("kill -9 $(pgrep -f [a]gent.cjs | tail -1)").catch(() => {});
    await restarted;
    expect(await codeOf()).to.equal("UNSUPPORTED");
  });
});
