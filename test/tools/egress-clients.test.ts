import { execFileSync } from "node:child_process";
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { siteCertificate } from "../support/certificates.ts";
import { usePackageIndex } from "../support/package-index.ts";
import { TlsSite } from "../support/tls-site.ts";
import { connectModern, type ToolClient } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";

/** A host on the internet with a package index and a git repository, and the list that names it. */
const useSite = () => {
  const packages = usePackageIndex((index) => {
    index.addWheel("alpha", "1.0", { needs: ["delta"] });
    index.addWheel("delta", "3.0");
    index.addNpm("left", "1.1.0");
  });
  const folder = mkdtempSync(join(tmpdir(), "egress-"));
  const file = join(folder, "egress.json");
  let site: TlsSite;
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = request.url ?? "";
    if (path.startsWith("/git/")) {
      const { pathname } = new URL(path, "https://x");
      createReadStream(join(folder, pathname))
        .on("error", () => response.writeHead(404).end())
        .pipe(response);
      return;
    }
    const found = await fetch(packages.index.url + path);
    const body = Buffer.from(await found.arrayBuffer());
    const type = found.headers.get("content-type") ?? "";
    const isText = /text|json/.test(type);
    response
      .writeHead(found.status, { "content-type": type })
      .end(isText ? body.toString().replaceAll(packages.index.url, site.url()) : body);
  };
  before(async () => {
    site = await TlsSite.start((request, response) => void answer(request, response));
    const allow = [`*.site.example:${site.port}`];
    writeFileSync(file, JSON.stringify({ allow, hosts: { "www.site.example": "127.0.0.1" } }));
    const git = (...args: string[]) => execFileSync("git", args, { cwd: folder, stdio: "pipe" });
    git("init", "-q", "work");
    writeFileSync(join(folder, "work/readme"), "hello\n");
    git("-C", "work", "add", ".");
    git("-C", "work", "-c", "user.name=x", "-c", "user.email=x@x.invalid", "commit", "-qm", "One");
    git("clone", "-q", "--bare", "work", "git/repository.git");
    git("-C", "git/repository.git", "update-server-info"); // else a server of files would not do
  });
  after(async () => {
    await site.stop();
    rmSync(folder, { recursive: true });
  });
  return { file, url: (): string => site.url() };
};

describe("The usual programs of a session with egress", function () {
  this.timeout(180_000);
  const site = useSite();
  const cluster = useCluster(() => ({ ALLOW_EGRESS: "true", EGRESS_FILE: site.file, POOL_SIZE: "1" }));
  let client: ToolClient;
  let session_id: unknown;
  before(async () => {
    client = await connectModern(cluster.url);
    const bundle = "/home/dev/workspace/site.pem";
    const env = { PIP_CERT: bundle, NODE_EXTRA_CA_CERTS: bundle, GIT_SSL_CAINFO: bundle };
    session_id = (await client.call("create_session", { network: "egress", env })).structured.session_id;
    await client.call("write_file", { session_id, path: "site.pem", content: siteCertificate.cert });
  });
  cluster.beforeStop(() => client.close());

  const run = async (command: string): Promise<string> => {
    const { structured } = await client.call("run_command", { session_id, command, wait_ms: 50_000 });
    return `${structured.stdout}${structured.stderr}`.trim();
  };

  it("install with pip over TLS, from an index that is listed", async () => {
    const told = await run(`pip install -i ${site.url()}/simple/ alpha 2>&1`);
    expect(told).to.match(/Successfully installed alpha-1\.0 delta-3\.0$/);
  });

  it("install with npm over TLS", async () => {
    const told = await run(`npm install --registry ${site.url()}/registry/ left 2>&1`);
    expect(told).to.include("added 1 package");
  });

  it("clone with git over TLS", async () => {
    expect(await run(`git clone -q ${site.url()}/git/repository.git && cat repository/readme`)).to.equal("hello");
  });

  it("fetch with Node.js's own client", async () => {
    const program = `fetch(process.argv[1]).then(async (answer) => console.log(answer.status, await answer.text()))`;
    expect(await run(`NODE_USE_ENV_PROXY=1 node -e '${program}' ${site.url()}/simple/delta/ 2>/dev/null`)).to.match(
      /^200 .*delta-3\.0/s,
    );
  });

  it("are told why not by the proxy where the host is not listed", async () => {
    expect(await run("git clone https://other.example/x.git 2>&1 | tail -1")).to.match(/CONNECT tunnel failed.* 403/);
    const program = `import urllib.request, urllib.error
try: urllib.request.urlopen("http://other.example/")
except urllib.error.HTTPError as error: print(error.code, error.read().decode())`;
    expect(await run(`python3 -c '${program}'`)).to.equal(
      '403 Egress to other.example:80 is not allowed. The operator allows it by "other.example" under "allow" in EGRESS_FILE',
    );
  });
});
