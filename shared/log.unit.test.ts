import { expect } from "chai";
import { ToolFailure } from "./failure.ts";
import { toldOf } from "./log.ts";

describe("What the log tells of an error", () => {
  const told = (error: unknown): string => JSON.stringify(toldOf(error));

  it("is its message, code, frames and cause, and nothing else that hangs on it", () => {
    const reply = Object.assign(new Error("OOM command not allowed"), { code: "OOM", command: { args: ["secret"] } });
    const error = new Error("a script failed", { cause: reply });
    expect(toldOf(error)).to.have.nested.property("cause.code", "OOM");
    expect(told(error)).to.include("a script failed").and.to.include("log.unit.test").and.not.to.include("secret");
  });

  it("is only the code of a failure that is its caller's own", () => {
    expect(told(new ToolFailure("NOT_FOUND", "There is no file secret")))
      .to.include("NOT_FOUND")
      .and.not.to.include("secret");
    expect(told(new ToolFailure("STORE_UNAVAILABLE", "the disk is full"))).to.include("the disk is full");
  });

  it("does not quote what could not be parsed", () => {
    const parse = (): unknown => {
      try {
        return JSON.parse("secret");
      } catch (error) {
        return error;
      }
    };
    expect(told(parse())).to.not.include("secret");
    expect(told("secret")).to.not.include("secret");
  });
});
