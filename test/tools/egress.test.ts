import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import type { ToolClient } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";

/** A server on this host's loopback address, and a list that names it: there is no internet in the tests. */
const useSite = () => {
  const folder = mkdtempSync(join(tmpdir(), "egress-"));
  const file = join(folder, "egress.json");
  let server: Server | undefined;
  let port = 0;
  before(async () => {
    server = createServer((request, response) => {
      const to = new URL(request.url ?? "/", "http://x").searchParams.get("to");
      if (to) response.writeHead(302, { location: to }).end();
      else response.end(`reached ${request.headers.host}`);
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    port = (server.address() as AddressInfo).port;
    const allow = [`site.example:${port}`, `localhost:${port}`];
    writeFileSync(file, JSON.stringify({ allow, hosts: { "site.example": "127.0.0.1" } }));
  });
  after(() => {
    server?.close();
    rmSync(folder, { recursive: true });
  });
  return {
    file,
    get port(): number {
      return port;
    },
  };
};

describe("A session with egress", function () {
  this.timeout(120_000);
  const site = useSite();
  const cluster = useCluster(() => ({ ALLOW_EGRESS: "true", EGRESS_FILE: site.file, POOL_SIZE: "1" }));
  let client: ToolClient;
  let session_id: unknown;
  cluster.withSession(
    (...own) => {
      [client, session_id] = own;
    },
    { network: "egress" },
  );

  const run = async (command: string): Promise<string> => {
    const { structured } = await client.call("run_command", { session_id, command, wait_ms: 50_000 });
    return `${structured.stdout}${structured.stderr}`.trim();
  };
  /** By Python's own client, which heeds the proxy's variables and follows redirects. */
  const fetched = (url: string): Promise<string> =>
    run(
      `python3 -c 'import urllib.request, sys; print(urllib.request.urlopen(sys.argv[1]).read().decode())' '${url}' 2>&1 | tail -1`,
    );

  it("reaches what is listed, as large as it may be asked and as often", async () => {
    const url = `http://site.example:${site.port}`;
    expect(await fetched(`${url}/`)).to.equal(`reached site.example:${site.port}`);
    const many = `for i in $(seq 40); do python3 -c 'import urllib.request; urllib.request.urlopen("${url}/")' & done; wait; echo all`;
    expect(await run(many)).to.equal("all");
  });

  it("tunnels to it, as programs do for TLS", async () => {
    const program = `import http.client
c = http.client.HTTPConnection("127.0.0.1", 3128)
c.set_tunnel("site.example", ${site.port})
c.request("GET", "/")
print(c.getresponse().read().decode())`;
    expect(await run(`python3 -c '${program}'`)).to.equal(`reached site.example:${site.port}`);
  });

  it("is told which name is not", async () => {
    expect(await fetched("http://other.example/")).to.match(/403/);
    expect(await run("git ls-remote https://other.example/x.git 2>&1 | tail -1")).to.match(/403/);
  });

  it("is not led elsewhere by a redirect, nor by a name that leads to this host", async () => {
    const from = `http://site.example:${site.port}/?to=`;
    for (const to of ["http://169.254.169.254/", `http://127.0.0.1:${site.port}/`, "http://other.example/"])
      expect(await fetched(`${from}${encodeURIComponent(to)}`), to).to.match(/40[34]|50\d|refused/i); // or its own loopback
    expect(await fetched(`http://localhost.:${site.port}/`)).to.match(/40[34]|50\d|refused/i); // or its own loopback
  });

  it("reaches nothing past the proxy", async () => {
    const direct = (host: string): string =>
      `python3 -c 'import socket; socket.create_connection(("${host}", 80), 3)' 2>&1 | tail -1`;
    for (const host of ["169.254.169.254", "172.17.0.1", "1.1.1.1"])
      expect(await run(direct(host))).to.match(/unreachable/i);
  });

  it("still does after its worker was restarted and its agent killed", async () => {
    await cluster.stack.restartWorker(cluster.stack.workers.at(-1)!);
    expect(await fetched(`http://site.example:${site.port}/`)).to.match(/^reached/);
    await run("kill -9 $(pgrep -f [a]gent.cjs | tail -1)");
    expect(await fetched(`http://site.example:${site.port}/`)).to.match(/^reached/);
  });
});
