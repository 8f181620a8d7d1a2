import { expect } from "chai";
import { resolveName } from "./resolve-name.ts";

describe("Names that sessions ask for", () => {
  it("say by a code why they lead nowhere", async () => {
    const refused = await resolveName("no-such-name.invalid").catch((error: unknown) => error);
    expect((refused as { code?: string }).code).to.match(/^E[A-Z]+$/);
  });

  it("take none of the process's threads, however many there are", async () => {
    const many = Array.from({ length: 200 }, (_, i) => resolveName(`no-such-name-${i}.invalid`).catch(() => {}));
    expect(process.getActiveResourcesInfo()).not.to.include("GetAddrInfoReqWrap");
    await Promise.all(many);
  });
});
