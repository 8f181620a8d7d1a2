import { expect } from "chai";
import { findTool, TOOLSETS, type Toolset, toolList, tools } from "./index.ts";

const size = (toolsets: readonly Toolset[]): number => {
  const list = toolList(toolsets);
  const bytes = Buffer.byteLength(JSON.stringify({ tools: list }));
  console.log(`      tools/list of ${toolsets.join()} has ${bytes} bytes for ${list.length} tools`);
  return bytes;
};

describe("the tool catalog", () => {
  it("stays below 32 KB on the wire, its core below 14 KB", () => {
    expect(size(["core"])).to.be.below(14 * 1024);
    expect(size(["full"])).to.be.below(32 * 1024);
    expect(size(TOOLSETS), "the nine names of CodeGen-MCP come on top").to.be.below(38 * 1024);
  });

  for (const tool of toolList(TOOLSETS)) {
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

  it("offers a key for every queued tool that a repeat would do twice", () => {
    for (const tool of tools) {
      const takesKey = "idempotency_key" in tool.input.shape;
      expect(takesKey, tool.name).to.equal(tool.mutates && (tool.class === "lane" || !tool.idempotent));
    }
  });

  it("finds a tool by its name only", () => {
    expect(findTool("run_command")?.name).to.equal("run_command");
    expect(findTool("constructor")).to.equal(undefined);
  });
});
