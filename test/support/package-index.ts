import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, gzipSync } from "node:zlib";
import { tarOfFiles } from "../../worker/sandbox/tar-of-files.ts";

const sha256 = (content: Buffer): string => createHash("sha256").update(content).digest("hex");

/** A zip archive of stored files. */
const zip = (files: Record<string, string>): Buffer => {
  const locals: Buffer[] = [];
  const entries: Buffer[] = [];
  let offset = 0;
  for (const [name, text] of Object.entries(files)) {
    const content = Buffer.from(text);
    const common = Buffer.alloc(26); // version, flags, method, time, date, crc, sizes, length of the name, of extras
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(0x21, 8); // 1980-01-01
    common.writeUInt32LE(crc32(content), 10);
    common.writeUInt32LE(content.length, 14);
    common.writeUInt32LE(content.length, 18);
    common.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from("PK\x03\x04"), common, Buffer.from(name), content]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(offset, 10);
    entries.push(Buffer.concat([Buffer.from("PK\x01\x02"), Buffer.from([20, 0]), common, rest, Buffer.from(name)]));
    locals.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(entries);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(entries.length, 4);
  end.writeUInt16LE(entries.length, 6);
  end.writeUInt32LE(directory.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...locals, directory, Buffer.from("PK\x05\x06"), end]);
};

/** A wheel with one module, whose VERSION is the package's; it may need others. */
const wheel = (name: string, version: string, needs: readonly string[]): Buffer => {
  const info = `${name}-${version}.dist-info`;
  const requires = needs.map((one) => `Requires-Dist: ${one}\n`).join("");
  return zip({
    [`${name}.py`]: `VERSION = "${version}"\n`,
    [`${info}/METADATA`]: `Metadata-Version: 2.1\nName: ${name}\nVersion: ${version}\n${requires}`,
    [`${info}/WHEEL`]: "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    [`${info}/RECORD`]: [`${name}.py`, `${info}/METADATA`, `${info}/WHEEL`, `${info}/RECORD`]
      .map((f) => `${f},,\n`)
      .join(""),
  });
};

/** A package index for pip and for npm on loopback, with packages that the test makes. It counts what it is asked. */
export class PackageIndex {
  readonly #files = new Map<string, Buffer>();
  readonly #wheels = new Map<string, { file: string; hash: string }[]>();
  readonly #packages = new Map<string, Record<string, unknown>>();
  /** Paths, as often as they were asked for. */
  readonly requests: string[] = [];

  #held: Promise<void> = Promise.resolve();
  #release = (): void => {};

  private constructor(
    private readonly server: Server,
    /** For a cache of what is offered here. */
    readonly folder: string,
  ) {}

  static async start(): Promise<PackageIndex> {
    const server = createServer();
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    const index = new PackageIndex(server, await mkdtemp(join(tmpdir(), "packages-")));
    server.on("request", async (request, response) => {
      const path = decodeURIComponent(request.url ?? "");
      index.requests.push(path);
      await index.#held;
      const answer = index.#find(path);
      if (answer === undefined) response.writeHead(404).end();
      else response.writeHead(200, { "content-type": answer.type }).end(answer.body);
    });
    return index;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }
  get pipUrl(): string {
    return `${this.url}/simple`;
  }
  get npmUrl(): string {
    return `${this.url}/registry/`;
  }
  /** The settings of a worker that takes its packages from here. */
  get settings(): Record<string, string> {
    return { PIP_INDEX_URL: this.pipUrl, NPM_REGISTRY_URL: this.npmUrl };
  }

  /** Offers a wheel; `content` in its place is what a broken or hostile mirror would send. */
  addWheel(name: string, version: string, options: { needs?: string[]; content?: Buffer } = {}): Buffer {
    const made = wheel(name, version, options.needs ?? []);
    const file = `${name}-${version}-py3-none-any.whl`;
    this.#files.set(`/files/${file}`, options.content ?? made);
    this.#wheels.set(name, [...(this.#wheels.get(name) ?? []), { file, hash: sha256(made) }]);
    return made;
  }

  addNpm(name: string, version: string, options: { content?: Buffer } = {}): void {
    const manifest = { name, version, main: "package.json" };
    const made = gzipSync(
      tarOfFiles(new Map([["package/package.json", Buffer.from(JSON.stringify(manifest))]]), 0o644),
    );
    const file = `${name.split("/").at(-1)}-${version}.tgz`;
    this.#files.set(`/files/${file}`, options.content ?? made);
    const integrity = `sha512-${createHash("sha512").update(made).digest("base64")}`;
    const dist = { tarball: `${this.url}/files/${file}`, integrity };
    const known = (this.#packages.get(name)?.versions ?? {}) as Record<string, unknown>;
    const versions = { ...known, [version]: { ...manifest, dist } };
    this.#packages.set(name, { name, "dist-tags": { latest: version }, versions });
  }

  /** Changes what a file holds, as a mirror might that was broken into. */
  replace(file: string, content: Buffer): void {
    this.#files.set(`/files/${file}`, content);
  }

  /** Answers nobody until `release()`. */
  hold(): void {
    this.#held = new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  release(): void {
    this.#release();
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => void this.server.close(resolve));
    await rm(this.folder, { recursive: true });
  }

  #find(path: string): { type: string; body: string | Buffer } | undefined {
    const file = this.#files.get(path);
    if (file) return { type: "application/octet-stream", body: file };
    const wheels = this.#wheels.get(/^\/simple\/([^/]+)\/$/.exec(path)?.[1] ?? "");
    if (wheels) {
      const links = wheels.map(({ file, hash }) => `<a href="../../files/${file}#sha256=${hash}">${file}</a>`);
      return { type: "text/html", body: `<html><body>${links.join("\n")}</body></html>` };
    }
    const found = this.#packages.get(path.slice("/registry/".length));
    return found && path.startsWith("/registry/")
      ? { type: "application/json", body: JSON.stringify(found) }
      : undefined;
  }
}

/** An index for the tests of one `describe`, and for the settings of its cluster. */
export const usePackageIndex = (fill: (index: PackageIndex) => void): { readonly index: PackageIndex } => {
  let index: PackageIndex | undefined;
  before(async () => {
    index = await PackageIndex.start();
    fill(index);
  });
  after(() => index?.stop());
  return {
    get index(): PackageIndex {
      if (!index) throw new Error("the index is there once the tests run");
      return index;
    },
  };
};
