import { execFileSync } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { eventually } from "../../test/support/eventually.ts";
import { Runner } from "./runner.ts";

const NOT_OPEN = 99_999;

describe("A runner that ends while it is taken over", () => {
  let folder: string;
  let pipe: number;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "runner-"));
    const path = join(folder, "pipe");
    execFileSync("mkfifo", [path]);
    pipe = openSync(path, constants.O_RDWR);
  });
  after(() => {
    closeSync(pipe);
    rmSync(folder, { recursive: true });
  });

  for (const missing of ["reply", "stdout", "stderr", "control"]) {
    it(`leaves no descriptor open in the agent where its ${missing} is gone`, async () => {
      const open = () => readdirSync("/proc/self/fd").length;
      const before = open();
      const [reply, stdout, stderr, control] = ["reply", "stdout", "stderr", "control"].map((name) =>
        name === missing ? NOT_OPEN : pipe,
      ) as [number, number, number, number];
      const fds = { pid: process.pid, child: 0, stdin: pipe, to: pipe, from: pipe, reply, stdout, stderr, control };
      const living = new Set<number>();
      expect(() => new Runner(fds, living)).to.throw("ENOENT");
      await eventually("all is closed", () => open() === before);
      expect([...living]).to.deep.equal([]);
    });
  }
});
