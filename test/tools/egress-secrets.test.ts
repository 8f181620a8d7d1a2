import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { siteCertificate } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { TlsSite } from "../support/tls-site.ts";
import { connectModern, type ToolClient } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { useTokens } from "../support/use-tokens.ts";

const COMMON = "common-secret-4711-0815";
const OWN = "own-$&-secret-of-the-team";

/** `secret`, `team` and `other` below site.example, and what the operator says of them. */
const useSites = () => {
  const folder = mkdtempSync(join(tmpdir(), "egress-"));
  const file = join(folder, "egress.json");
  let site: TlsSite;
  let plain: Server;
  const plainRequests: (string | undefined)[] = [];
  before(async () => {
    site = await TlsSite.start((request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? "/", "https://x");
      const to = searchParams.get("to");
      if (to) response.writeHead(302, { location: to }).end();
      else if (pathname === "/echo") response.end(`got ${request.headers.authorization}`);
      else if (pathname === "/size") {
        let bytes = 0;
        request.on("data", (data: Buffer) => {
          bytes += data.length;
        });
        request.on("end", () => response.end(String(bytes)));
      } else response.end("x".repeat(Number(searchParams.get("bytes") ?? 2)));
    });
    plain = createServer((request, response) => {
      plainRequests.push(request.headers["x-key"] as string | undefined);
      response.end("plain");
    }).listen(0, "127.0.0.1");
    await once(plain, "listening");
    const plainPort = (plain.address() as AddressInfo).port;
    const names = ["secret", "team", "other", "bad"].map((name) => `${name}.site.example`);
    writeFileSync(join(folder, "common"), `${COMMON}\n`);
    writeFileSync(join(folder, "own"), OWN);
    writeFileSync(join(folder, "ca.pem"), siteCertificate.cert);
    const secret = (host: string, value_file: string) => ({
      name: value_file.toUpperCase(),
      hosts: [`${host}.site.example:${site.port}`],
      value_file,
      format: "Bearer {}",
    });
    const rules = {
      allow: [
        ...names.map((name) => `${name}:${site.port}`),
        `plain.example:${plainPort}`,
        `wrong.example:${site.port}`,
      ],
      hosts: Object.fromEntries([...names, "plain.example", "wrong.example"].map((name) => [name, "127.0.0.1"])),
      ca_file: "ca.pem",
      secrets: [
        secret("secret", "common"),
        { name: "WRONG", hosts: [`wrong.example:${site.port}`], value_file: "common" },
        {
          name: "PLAIN",
          hosts: [`plain.example:${plainPort}`],
          header: "X-Key",
          value_file: "common",
          plain_http: true,
        },
      ],
      principals: { team: { secrets: [secret("team", "own")] } },
    };
    writeFileSync(file, JSON.stringify(rules));
  });
  after(async () => {
    plain.close();
    await site.stop();
    rmSync(folder, { recursive: true });
  });
  return {
    file,
    url: (name: string): string => site.url(name),
    get port(): number {
      return site.port;
    },
    get plainUrl(): string {
      return `http://plain.example:${(plain.address() as AddressInfo).port}`;
    },
    plainRequests,
    /** What was sent to a host as its Authorization, and forgets it. */
    sentTo: (name: string): (string | undefined)[] => {
      const sent = site.requests.filter(({ host }) => host === `${name}.site.example:${site.port}`);
      site.requests.length = 0;
      return sent.map(({ headers }) => headers.authorization);
    },
  };
};

const useTokensOf = (...principals: string[]) => {
  const tokens = useTokens();
  before(async () => {
    for (const principal of principals) await tokens.add(principal);
  });
  return tokens;
};

describe("Secrets that the proxy puts into requests", function () {
  this.timeout(180_000);
  const site = useSites();
  const tokens = useTokensOf("anyone", "team");
  const cluster = useCluster(() => ({
    ALLOW_EGRESS: "true",
    EGRESS_FILE: site.file,
    POOL_SIZE: "1",
    AUTH_TOKENS_FILE: tokens.file,
  }));
  const clients: Record<string, { client: ToolClient; session_id: unknown }> = {};
  before(async () => {
    for (const principal of ["anyone", "team"]) {
      const client = await connectModern(cluster.url, tokens.headersOf(principal));
      const { session_id } = (await client.call("create_session", { network: "egress" })).structured;
      clients[principal] = { client, session_id };
    }
  });
  cluster.beforeStop(async () => {
    for (const { client } of Object.values(clients)) await client.close();
  });

  const run = async (command: string, principal = "anyone"): Promise<string> => {
    const { client, session_id } = clients[principal]!;
    const { structured } = await client.call("run_command", { session_id, command, wait_ms: 50_000 });
    return `${structured.stdout}${structured.stderr}`.trim();
  };
  const fetched = (url: string, principal?: string): Promise<string> =>
    run(
      `python3 -c 'import urllib.request, sys; print(urllib.request.urlopen(sys.argv[1]).read().decode())' '${url}' 2>&1 | tail -1`,
      principal,
    );

  it("arrive at their host, over TLS that both ends verify, and at no other", async () => {
    expect(await fetched(`${site.url("secret")}/`)).to.equal("xx");
    expect(site.sentTo("secret")).to.deep.equal([`Bearer ${COMMON}`]);
    expect(await fetched(`${site.url("other")}/`)).to.equal("xx");
    expect(site.sentTo("other")).to.deep.equal([undefined]);
  });

  it("come with what each program sends, whatever it says itself", async () => {
    const url = `${site.url("secret")}/size`;
    const program = `fetch("${url}", { method: "POST", headers: { Authorization: "mine" }, body: "x".repeat(3e6) }).then((a) => a.text()).then(console.log)`;
    expect(await run(`NODE_USE_ENV_PROXY=1 node -e '${program}' 2>/dev/null`)).to.equal("3000000");
    await run(
      `git ls-remote ${site.url("secret")}/x.git; pip download -q --retries 0 -i ${site.url("secret")}/simple/ x; npm view --registry ${site.url("secret")}/npm/ x`,
    );
    expect(new Set(site.sentTo("secret"))).to.deep.equal(new Set([`Bearer ${COMMON}`]));
  });

  it("carry much, and many requests of one connection", async () => {
    const program = `import http.client, os, ssl
c = http.client.HTTPSConnection("127.0.0.1", 3128)
c.set_tunnel("secret.site.example", ${site.port})
sizes = []
for n in (1, 5000000, 7):
    c.request("GET", f"/?bytes={n}")
    sizes.append(len(c.getresponse().read()))
c.request("TRACE", "/")
a = c.getresponse()
print(sizes, a.status, a.read().decode().strip())`;
    expect(await run(`python3 -c '${program}'`)).to.equal("[1, 5000000, 7] 405 TRACE would answer with the secret");
    expect(site.sentTo("secret")).to.deep.equal(Array(3).fill(`Bearer ${COMMON}`));
  });

  it("go with a body of unknown length that waits for its host's word", async () => {
    const program = `import socket, ssl
s = socket.create_connection(("127.0.0.1", 3128))
s.sendall(b"CONNECT secret.site.example:${site.port} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
s.recv(4096)
t = ssl.create_default_context().wrap_socket(s, server_hostname="secret.site.example")
t.sendall(b"POST /size HTTP/1.1\\r\\nHost: x\\r\\nExpect: 100-continue\\r\\nTransfer-Encoding: chunked\\r\\nConnection: close\\r\\n\\r\\n5\\r\\nhello\\r\\n0\\r\\n\\r\\n")
print(b"".join(iter(lambda: t.recv(4096), b"")).decode())`;
    const answer = await run(`python3 -c '${program}'`);
    expect(answer)
      .to.match(/HTTP\/1.1 200/)
      .and.to.include("\r\n5");
    expect(site.sentTo("secret")).to.deep.equal([`Bearer ${COMMON}`]);
  });

  it("do not follow a redirect to another host", async () => {
    expect(await fetched(`${site.url("secret")}/?to=${encodeURIComponent(`${site.url("other")}/`)}`)).to.equal("xx");
    expect(site.sentTo("other")).to.deep.equal([undefined]);
  });

  it("go out without TLS only where the operator says so", async () => {
    expect(await fetched(`${site.plainUrl}/`)).to.equal("plain");
    expect(site.plainRequests).to.deep.equal([COMMON]);
  });

  it("do not go to a host that cannot show who it is", async () => {
    expect(await fetched(`https://wrong.example:${site.port}/`)).to.match(/502/); // its certificate is another's
    expect(site.sentTo("wrong")).to.deep.equal([]);
  });

  it("are a principal's own", async () => {
    expect(await fetched(`${site.url("team")}/`, "team")).to.equal("xx");
    expect(site.sentTo("team")).to.deep.equal([`Bearer ${OWN}`]);
    expect(await fetched(`${site.url("team")}/`)).to.equal("xx");
    expect(site.sentTo("team")).to.deep.equal([undefined]);
    expect(await fetched(`${site.url("secret")}/`, "team")).to.equal("xx");
    expect(site.sentTo("secret")).to.deep.equal([undefined]);
  });

  it("are nowhere in the sandbox", async () => {
    await fetched(`${site.url("secret")}/`);
    // Put together there, so that the search does not find itself.
    const look = `import os
words = [a + b for a, b in (("common-", "secret-4711"), ("own-$", "&-secret"), ("PRIVATE ", "KEY"))]
found, files = [], 0
for top in ("/proc", "/run", "/tmp", "/home", "/var", "/etc"):
    for folder, names, here in os.walk(top):
        names[:] = [n for n in names if os.path.join(folder, n) not in ("/proc/sys", "/proc/tty", "/proc/bus", "/tmp/node-compile-cache")]
        for name in here:
            path = os.path.join(folder, name)
            if top == "/proc" and name not in ("environ", "cmdline", "maps", "mountinfo"): continue
            try: text = open(path, "rb").read(1 << 22).decode("latin1")
            except OSError: continue
            files += 1
            found += [(path, word) for word in words if word in text]
for name in ("egress-ca.pem", "egress-bundle.pem"):
    text = open("/run/codegen/" + name).read()
    found += [(name, word) for word in words if word in text]
    print(name, text.count("BEGIN CERTIFICATE") > (99 if "bundle" in name else 1))
print(found, files > 50)
try: open("/run/codegen/egress-ca.pem", "w")
except OSError as e: print(e.strerror)`;
    await clients.anyone!.client.call("write_file", {
      session_id: clients.anyone!.session_id,
      path: "look.py",
      content: look,
    });
    expect(await run("python3 look.py; rm look.py")).to.equal(
      "egress-ca.pem True\negress-bundle.pem True\n[] True\nRead-only file system",
    );
  });

  it("are masked where a host echoes them", async () => {
    expect(await fetched(`${site.url("secret")}/echo`)).to.equal(`got Bearer ${"*".repeat(COMMON.length)}`);
    expect(await fetched(`${site.url("team")}/echo`, "team")).to.equal(`got Bearer ${"*".repeat(OWN.length)}`);
  });

  it("come in the same container after its worker was restarted, whose authority it still trusts", async () => {
    const { client, session_id } = clients.anyone!;
    const container = await cluster.containerOf(session_id as string);
    const authority = await run("sha256sum < /run/codegen/egress-ca.pem");
    const worker = async () => (await client.call("get_session", { session_id })).structured.worker;
    const before = await worker();
    await cluster.stack.restartWorker(cluster.stack.workers.at(-1)!);
    await eventually("the next worker has it", async () => (await worker()) !== before, 60_000);
    site.sentTo("secret");
    expect(await fetched(`${site.url("secret")}/`)).to.equal("xx");
    expect(site.sentTo("secret")).to.deep.equal([`Bearer ${COMMON}`]);
    expect(await run("sha256sum < /run/codegen/egress-ca.pem")).to.equal(authority);
    expect(await cluster.containerOf(session_id as string)).to.equal(container);
  });
});
