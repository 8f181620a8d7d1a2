import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:tls";
import { expect } from "chai";
import { useRedis } from "../../test/support/use-redis.ts";
import { EgressAuthority } from "./egress-authority.ts";

describe("The authority of the egress proxy", () => {
  const server = useRedis();

  it("is one for all workers of a deployment, whoever asks first", async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => EgressAuthority.open(server.redis)));
    expect(new Set(all.map(({ certificate }) => certificate)).size).to.equal(1);
    const { ca, subject, validTo } = new X509Certificate(all[0]!.certificate);
    expect({ ca, subject }).to.deep.equal({ ca: true, subject: "CN=codegen-mcp egress" });
    expect(Date.parse(validTo) - Date.now()).to.be.above(3_000 * 86_400_000);
  });

  it("signs what a client takes for the host, and for that host only", async () => {
    const authority = await EgressAuthority.open(server.redis);
    const other = await EgressAuthority.open(server.redis);
    const leaf = await authority.leafFor("git.example.org");
    const tls = createServer(leaf, (socket) => socket.on("error", () => {}).end("hello")).listen(0, "127.0.0.1");
    await once(tls, "listening");
    const { port } = tls.address() as AddressInfo;
    const meet = async (servername: string, ca: string): Promise<string> => {
      const socket = connect({ port, host: "127.0.0.1", servername, ca });
      try {
        await once(socket, "secureConnect");
        return "met";
      } catch (error) {
        return String((error as NodeJS.ErrnoException).code);
      } finally {
        socket.destroy();
      }
    };
    expect(await meet("git.example.org", other.certificate)).to.equal("met");
    expect(await meet("www.example.org", other.certificate)).to.equal("ERR_TLS_CERT_ALTNAME_INVALID");
    expect(await authority.leafFor("git.example.org")).to.equal(leaf);
    const foreign = await meet("git.example.org", leaf.cert);
    expect(foreign).not.to.equal("met");
    tls.close();
  });

  it("serves many hosts and keeps few", async () => {
    const authority = await EgressAuthority.open(server.redis);
    const first = await authority.leafFor("h0.example");
    await Promise.all(Array.from({ length: 600 }, (_, i) => authority.leafFor(`h${i + 1}.example`)));
    expect(await authority.leafFor("h0.example")).not.to.equal(first);
  });
});
