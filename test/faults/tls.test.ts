import { writeFile } from "node:fs/promises";
import { request } from "node:https";
import type { TLSSocket } from "node:tls";
import { expect } from "chai";
import { type Certificate, firstCertificate, secondCertificate } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { useProcesses } from "../support/use-processes.ts";

const START_MS = 60_000;

describe("TLS", () => {
  const processes = useProcesses();
  const write = (name: string, text: string): Promise<void> => writeFile(`${processes.folder}/${name}`, text);
  const install = async ({ cert, key }: Certificate): Promise<void> => {
    await Promise.all([write("cert", cert), write("key", key)]);
  };
  const files = (): Record<string, string> => ({
    TLS_CERT_FILE: `${processes.folder}/cert`,
    TLS_KEY_FILE: `${processes.folder}/key`,
  });
  /** What the server shows, over a connection of its own that trusts both certificates. */
  const shown = (url: string): Promise<{ status: number | undefined; name: string }> =>
    new Promise((resolve, reject) => {
      const ca = [firstCertificate.cert, secondCertificate.cert];
      const asking = request(`${url}/healthz`, { ca, agent: false }, (response) => {
        const { subject } = (response.socket as TLSSocket).getPeerCertificate();
        response.resume().on("end", () => resolve({ status: response.statusCode, name: String(subject.CN) }));
      });
      asking.on("error", reject).end();
    });

  it("is spoken with the certificate of the files, and with the one that replaces it", async () => {
    await install(firstCertificate);
    const child = processes.launch("coordinator", files());
    const [, url = ""] = await child.line(/"url":"(https:[^"]+)","msg":"coordinator listens"/, START_MS);
    expect(await shown(url)).to.deep.equal({ status: 200, name: "codegen-mcp test first" });

    const refused = child.line(/changed files are no good/, START_MS);
    await write("cert", secondCertificate.cert); // its key is still the other's
    await refused;
    expect((await shown(url)).name, "the pair before stays").to.equal("codegen-mcp test first");
    await write("key", secondCertificate.key);
    await eventually("the new pair is shown", async () => (await shown(url)).name === "codegen-mcp test second");
    expect(await fetch(url.replace("https", "http")).catch(() => "refused")).to.equal("refused");
  });

  it("is not begun with a key that is another certificate's", async () => {
    await install({ cert: firstCertificate.cert, key: secondCertificate.key });
    const child = processes.launch("coordinator", files());
    await child.line(/key values mismatch/i, START_MS);
    expect((await child.exited).code).to.equal(1);
  });
});
