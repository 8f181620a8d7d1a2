import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { request } from "node:https";
import { buffer } from "node:stream/consumers";
import type { TLSSocket } from "node:tls";
import { expect } from "chai";
import { freePort } from "../../compose/embedded/private-redis.ts";
import { type Certificate, firstCertificate, secondCertificate } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { PromptKitClient } from "../support/promptkit-client.ts";
import { useProcesses } from "../support/use-processes.ts";
import { useRedis } from "../support/use-redis.ts";
import { open, send } from "../support/wire.ts";

const START_MS = 60_000;

describe("TLS", () => {
  const server = useRedis();
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

  it("is spoken to workers as well, by the URL that they are told, both ways", async () => {
    await install(firstCertificate);
    const port = await freePort();
    const DEPLOYMENT = `test-${randomBytes(5).toString("hex")}`;
    const shared = { REDIS_URL: server.server.url, DEPLOYMENT };
    const urls = { PUBLIC_URL: `https://localhost:${port}`, INTERNAL_URL: `https://127.0.0.1:${port}` };
    const coordinator = processes.launch("coordinator", { ...shared, ...files(), ...urls, PORT: String(port) });
    const trusting = { NODE_EXTRA_CA_CERTS: files().TLS_CERT_FILE!, POOL_SIZE: "0", WORKSPACE_MB: "64" };
    const worker = processes.launch("worker", { ...shared, ...trusting });
    await Promise.all([
      coordinator.line(/"msg":"coordinator is ready"/, START_MS),
      worker.line(/"msg":"worker started"/, START_MS),
    ]);
    const client = await PromptKitClient.connect(`${urls.PUBLIC_URL}/mcp`);
    const urlOf = async (tool: string): Promise<string> =>
      String((await client.call(tool, { path: "big" })).structured.url);
    const bytes = randomBytes(3_000_000);
    const put = await send(await urlOf("put_artifact"), { method: "PUT", body: bytes });
    expect(put.status, put.text).to.equal(201);
    const url = await urlOf("get_artifact");
    expect(new URL(url).origin).to.equal(urls.PUBLIC_URL);
    const got = await buffer(await open(url, { method: "GET" }));
    expect(got.equals(bytes)).to.equal(true);
    await client.close();
  });
});
