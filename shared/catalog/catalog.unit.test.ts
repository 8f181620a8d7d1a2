import { expect } from "chai";
import { findTool, toolList, tools } from "./index.ts";

const LIST_LIMIT = 32 * 1024;

describe("the tool catalog", () => {
  it("stays below 32 KB on the wire", () => {
    const size = Buffer.byteLength(JSON.stringify({ tools: toolList }));
    console.log(`      tools/list has ${size} bytes for ${toolList.length} tools`);
    expect(size).to.be.below(LIST_LIMIT);
  });

  for (const tool of toolList) {
    it(`describes ${tool.name} and each of its arguments`, () => {
      expect(tool.description.length).to.be.at.least(80);
      const properties = tool.inputSchema.properties as Record<string, { description?: string; anyOf?: unknown }>;
      for (const [name, schema] of Object.entries(properties)) {
        expect(schema.description, name).to.be.a("string").that.is.not.empty;
        expect(schema.anyOf, `${name} is no union`).to.equal(undefined);
      }
      expect(properties).to.have.property("session_id" in properties ? "session_id" : "idempotency_key");
      expect(tool.outputSchema.required, "an answer may lack any field").to.equal(undefined);
      expect(tool.annotations).to.have.all.keys("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint");
    });
  }

  it("offers a key for every lane tool that changes something", () => {
    for (const tool of tools) {
      const takesKey = "idempotency_key" in tool.input.shape;
      expect(takesKey, tool.name).to.equal(tool.class === "lane" && tool.mutates);
    }
  });

  it("finds a tool by its name only", () => {
    expect(findTool("run_command")?.name).to.equal("run_command");
    expect(findTool("constructor")).to.equal(undefined);
  });
});
