import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { PackageIndex } from "../../test/support/package-index.ts";
import { silentLog } from "../../test/support/silent-log.ts";
import { PackageCache } from "./package-cache.ts";

const MIB = 1024 * 1024;

describe("PackageCache", () => {
  let index: PackageIndex;
  let folder: string;
  let cache: PackageCache;
  let pip: string;
  let npm: string;

  const start = async (limitBytes: number, pipIndexUrl = index.pipUrl): Promise<PackageCache> => {
    const urls = { pipIndexUrl, npmRegistryUrl: index.npmUrl };
    cache = new PackageCache({ offer: () => {}, log: silentLog }, { name: "127.0.0.1", folder, limitBytes, ...urls });
    cache.start();
    const environment = await cache.environment();
    pip = environment.PIP_INDEX_URL!;
    npm = environment.npm_config_registry!;
    return cache;
  };
  const bytes = async (url: string): Promise<Buffer> => Buffer.from(await (await fetch(url)).arrayBuffer());
  const filesFetched = (): string[] => index.requests.filter((path) => path.startsWith("/files/"));

  beforeEach(async () => {
    index = await PackageIndex.start();
    folder = join(index.folder, "cache");
    await start(64 * MIB);
  });
  afterEach(async () => {
    await cache.stop();
    await index.stop();
  });

  it("fetches a wheel once, however many ask for it at once, and gives each the same bytes", async () => {
    const made = index.addWheel("alpha", "1.0");
    const page = await (await fetch(`${pip}alpha/`)).text();
    expect(page).to.match(/<a href="alpha-1.0-py3-none-any.whl#sha256=[0-9a-f]{64}">/);
    const urls = Array.from({ length: 8 }, () => `${pip}alpha/alpha-1.0-py3-none-any.whl`);
    for (const got of await Promise.all(urls.map(bytes))) expect(got.equals(made)).to.equal(true);
    expect(filesFetched()).to.have.length(1);
  });

  it("names npm's files below itself and leaves their hashes as the registry gives them", async () => {
    index.addNpm("@scope/beta", "2.0.0");
    const { versions } = (await (await fetch(`${npm}@scope%2fbeta`)).json()) as {
      versions: Record<string, { dist: { tarball: string; integrity: string } }>;
    };
    const { tarball, integrity } = versions["2.0.0"]!.dist;
    expect(tarball).to.equal(`${npm}@scope/beta/-/beta-2.0.0.tgz`);
    expect(integrity).to.match(/^sha512-/);
    expect((await fetch(tarball)).status).to.equal(200);
  });

  it("refuses whatever is no reading, and keeps nothing of it", async () => {
    const made = index.addWheel("alpha", "1.0");
    const url = `${pip}alpha/alpha-1.0-py3-none-any.whl`;
    for (const method of ["PUT", "POST", "DELETE", "PATCH"]) {
      const { status, headers } = await fetch(url, { method, ...(method === "DELETE" ? {} : { body: "poison" }) });
      expect([status, headers.get("allow")], method).to.deep.equal([405, "GET, HEAD"]);
    }
    expect(await readdir(index.folder), "not even made").to.deep.equal([]);
    expect((await bytes(url)).equals(made)).to.equal(true);
  });

  it("asks the index for names alone: neither URLs nor ways out of it", async () => {
    const base = pip.replace("pip/", "");
    const paths = [
      "pip/../secret",
      "pip/%2e%2e/",
      "npm/..%2fsecret",
      "npm/..",
      "npm/@../x",
      "pip/http:%2f%2fx/",
      "secret",
      "",
    ];
    for (const path of paths) expect((await fetch(base + path)).status, path).to.equal(404);
    for (const request of index.requests) expect(request).to.match(/^\/(simple|registry)\/./);
    expect((await fetch(`${pip}alpha/../../files/x`)).status).to.equal(404);
  });

  it("neither keeps nor hands out a file that is not what the index says", async () => {
    index.addWheel("alpha", "1.0", { content: Buffer.from("corrupted") });
    index.addNpm("beta", "1.0.0", { content: Buffer.from("corrupted") });
    for (const url of [`${pip}alpha/alpha-1.0-py3-none-any.whl`, `${npm}beta/-/beta-1.0.0.tgz`]) {
      const response = await fetch(url);
      expect(response.status).to.equal(502);
      expect(await response.text()).to.match(/has sha\d+ [0-9a-f]+, not/);
    }
    const sizes = await Promise.all((await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size));
    expect(sizes, "the two pages").to.have.length(2);
    expect(sizes).to.not.include("corrupted".length);
  });

  it("goes on giving what it has when the mirror's file is changed", async () => {
    const made = index.addWheel("alpha", "1.0");
    const url = `${pip}alpha/alpha-1.0-py3-none-any.whl`;
    await bytes(url);
    index.replace("alpha-1.0-py3-none-any.whl", Buffer.from("poison"));
    expect((await bytes(url)).equals(made)).to.equal(true);
    await cache.stop();
    await start(64 * MIB); // as a later worker does with the same folder
    expect((await bytes(`${pip}alpha/alpha-1.0-py3-none-any.whl`)).equals(made)).to.equal(true);
  });

  it("stays below its size: what was used least recently goes", async () => {
    await cache.stop();
    await start(40_000);
    for (const name of ["aa", "bb", "cc", "dd", "ee", "ff"]) {
      const needs = Array.from({ length: 220 }, (_, i) => `${name}-needs-nothing-of-${i}`);
      index.addWheel(name, "1.0", { needs });
      expect((await bytes(`${pip}${name}/${name}-1.0-py3-none-any.whl`)).length).to.be.within(8_000, 10_000);
    }
    const sizes = await Promise.all((await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size));
    expect(sizes.reduce((sum, size) => sum + size, 0)).to.be.within(20_000, 40_000);
    const before = filesFetched().length;
    await bytes(`${pip}ff/ff-1.0-py3-none-any.whl`);
    expect(filesFetched()).to.have.length(before);
  });

  it("says that an index is away or has no such package", async () => {
    expect((await fetch(`${pip}absent/`)).status).to.equal(404);
    expect((await fetch(`${npm}absent`)).status).to.equal(404);
    await cache.stop();
    const away = await start(64 * MIB, "http://127.0.0.1:1/");
    expect((await fetch(`${pip}absent/`)).status).to.equal(502);
    await away.stop();
  });

  it("gives no address where it is not started, and stops all the same", async () => {
    const other = new PackageCache(
      { offer: () => {}, log: silentLog },
      { name: "x", folder, limitBytes: MIB, pipIndexUrl: index.pipUrl, npmRegistryUrl: index.npmUrl },
    );
    expect(await other.environment()).to.deep.equal({});
    await other.stop();
  });
});
