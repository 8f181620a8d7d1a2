import { expect } from "chai";
import { npmFile, npmPage, parsePackage } from "./npm-registry.ts";
import { pipFiles, pipPage } from "./pip-index.ts";

const HASH = "a".repeat(64);

describe("What an index says of a package", () => {
  it("is read from a page of the simple index, whatever its links look like", () => {
    const files = pipFiles(
      `<a href="../../f/one-1.0-py3-none-any.whl#sha256=${HASH}" data-requires-python="&gt;=3.8">one</a>
<A data-yanked='a "bad" one' HREF='https://files.test/two%2B1-1.0.tar.gz?x=1&amp;y=2'>two</A>
<a href="https://[bad">bad</a><a name="none">none</a><a href="/dir/">folder</a>`,
      "https://index.test/simple/one/",
    );
    expect(files.map(({ name, url }) => [name, url.href])).to.deep.equal([
      ["one-1.0-py3-none-any.whl", "https://index.test/f/one-1.0-py3-none-any.whl"],
      ["two+1-1.0.tar.gz", "https://files.test/two%2B1-1.0.tar.gz?x=1&y=2"],
    ]);
    expect(files[0]).to.deep.include({ digest: { algorithm: "sha256", hex: HASH }, requiresPython: ">=3.8" });
    expect(files[1]).to.include({ digest: undefined, yanked: 'a "bad" one' });
    expect(
      pipFiles(pipPage("one", files), "https://cache.test/pip/one/").map(({ url: _, ...rest }) => rest),
    ).to.deep.equal(files.map(({ url: _, ...rest }) => rest));
  });

  it("cannot put anything else into the cache's page", () => {
    const [file] = pipFiles(`<a href="x.whl" data-requires-python='"><script>'>x</a>`, "https://index.test/");
    expect(pipPage("x", [file!])).to.not.include("<script>");
  });

  it("is read from a registry's JSON, with the strongest hash", () => {
    const tarball = "https://registry.test/beta/-/beta-1.0.0.tgz";
    const dist = {
      tarball,
      integrity: `sha1-${btoa("1".repeat(20))} sha512-${btoa("5".repeat(64))}`,
      shasum: "0".repeat(40),
    };
    const body = Buffer.from(JSON.stringify({ versions: { "1.0.0": { dist }, "0.9.0": null, "0.8.0": {} } }));
    expect(npmFile(parsePackage(body), "beta-1.0.0.tgz")).to.deep.include({
      digest: { algorithm: "sha512", hex: "35".repeat(64) },
    });
    expect(npmFile(parsePackage(body), "beta-2.0.0.tgz")).to.equal(undefined);
    expect(npmPage(parsePackage(body), "http://c/-/")).to.include('"tarball":"http://c/-/beta-1.0.0.tgz"');
    for (const text of ["", "[", "null", '{"versions":1}', "1"])
      expect(() => parsePackage(Buffer.from(text)), text).to.throw(/did not answer/);
  });
});
