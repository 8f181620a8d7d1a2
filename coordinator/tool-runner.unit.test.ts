import { expect } from "chai";
import { findTool } from "../shared/catalog/index.ts";
import type { ToolFailure } from "../shared/failure.ts";
import { checkArguments } from "./tool-runner.ts";

describe("checkArguments", () => {
  const refused = (args: Record<string, unknown>): ToolFailure => {
    try {
      checkArguments(findTool("read_file")!, args);
    } catch (error) {
      return error as ToolFailure;
    }
    throw new Error("they were taken");
  };

  it("names what is missing, malformed and unknown", () => {
    expect(refused({ offset: "x", other: 1 })).to.include({ code: "INVALID_ARGUMENT" });
    expect(refused({ offset: "x", other: 1 }).message).to.match(/path: .*offset: .*"other"/);
  });

  it("does not send back all that it was sent", () => {
    const names = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`name-${i}`, 1]));
    expect(refused({ path: "x", ...names }).message)
      .to.include("name-0")
      .and.to.have.property("length")
      .that.is.below(1_500);
  });
});
