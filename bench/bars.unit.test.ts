import { expect } from "chai";
import { judge } from "./bars.ts";

const time = (name: string, p50: number) => ({ name, p50_ms: p50, p95_ms: p50 });

describe("judge", () => {
  it("compares rows of one run, and leaves out bars whose rows were not measured", () => {
    const rows = [time("run_command_true", 6), time("docker_exec_true", 50)];
    const value = { name: "session_balance", p50_ms: null, p95_ms: null, value: 27, unit: "sessions" };
    expect(judge([...rows, value]).map(({ measured, isMet }) => [measured, isMet])).to.deep.equal([
      ["0.12 ×", true],
      ["27 sessions", false],
    ]);
  });

  it("does not pass what has no number", () => {
    expect(judge([time("parallel_sleep_8", 600)])[0]?.isMet).to.equal(false);
  });
});
