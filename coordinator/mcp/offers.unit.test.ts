import { expect } from "chai";
import { Offers } from "./offers.ts";

const names = (offers: Offers, url: string): string[] | undefined => offers.of(url)?.list.map(({ name }) => name);
const URL = "http://127.0.0.1/mcp";

describe("Offers", () => {
  it("offer everything but the CodeGen-MCP names to whoever asks for nothing", () => {
    const all = names(new Offers([]), URL);
    expect(all).to.include.members(["create_session", "run_command", "get_call"]).and.not.include("fs.read");
  });

  it("offer the core, or the CodeGen-MCP names on top, as the URL asks", () => {
    const offers = new Offers([]);
    const core = names(offers, `${URL}?toolset=core`);
    expect(core).to.include("run_command").and.not.include("get_call");
    const both = names(offers, `${URL}?toolset=codegen-mcp`);
    expect(both).to.include.members(["get_call", "fs.read", "task.get_status"]);
    const small = names(offers, `${URL}?toolset=core,codegen-mcp`);
    expect(small).to.have.members([...(core ?? []), ...(both ?? []).filter((name) => /^echo$|\./.test(name))]);
    expect(names(offers, `${URL}?toolset=core&toolset=codegen-mcp`)).to.deep.equal(small);
  });

  it("offer what the operator chose unless the URL chooses", () => {
    const offers = new Offers(["core"]);
    expect(names(offers, URL)).to.deep.equal(names(offers, `${URL}?toolset=core`));
    expect(names(offers, `${URL}?toolset=full`)).to.include("get_call");
  });

  it("find only what they show", () => {
    const core = new Offers([]).of(`${URL}?toolset=core`);
    expect(core?.find("run_command")?.name).to.equal("run_command");
    for (const name of ["get_call", "fs.read", "constructor"]) expect(core?.find(name), name).to.equal(undefined);
  });

  it("are none for a toolset that nobody knows", () => {
    expect(new Offers([]).of(`${URL}?toolset=core,everything`)).to.equal(undefined);
  });
});
