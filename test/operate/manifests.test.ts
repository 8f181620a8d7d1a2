import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { parse, parseAllDocuments } from "yaml";
import { VERSION } from "../../shared/version.ts";
import { type Manifest, manifestProblems } from "../support/manifest-problems.ts";

const FOLDER = "compose/kubernetes";
/** What the environment of the pods' own other parts is about. */
const NOT_OURS = new Set(["POD_IP", "DOCKER_HOST", "DOCKER_TLS_CERTDIR", "REGISTRY"]);

interface OurManifest extends Manifest {
  metadata: { name: string };
  data?: Record<string, string>;
  spec?: {
    template?: { spec: Record<"containers" | "initContainers", { env?: { name: string }[] }[] | undefined> };
    triggers?: { metadata: { query: string } }[];
  };
}

describe("The Kubernetes manifests", () => {
  let manifests: OurManifest[];
  let text: string;
  before(async () => {
    const { resources } = parse(await readFile(join(FOLDER, "kustomization.yaml"), "utf8")) as { resources: string[] };
    const others = (await readdir(FOLDER)).filter((name) => name !== "kustomization.yaml" && name.endsWith(".yaml"));
    expect(resources.toSorted()).to.deep.equal(others.toSorted());
    const texts = await Promise.all(others.map((name) => readFile(join(FOLDER, name), "utf8")));
    text = texts.join("\n");
    manifests = texts.flatMap((each) => parseAllDocuments(each).map((document) => document.toJS() as OurManifest));
  });

  it("are what the schemas that Kubernetes and KEDA publish allow", async () => {
    expect(await manifestProblems(manifests)).to.deep.equal([]);
  });

  for (const [mistake, plant] of Object.entries({
    "a wrong apiVersion": (manifest: OurManifest) => ({ ...manifest, apiVersion: `${manifest.apiVersion}beta9` }),
    "a misspelt field": ({ metadata, ...rest }: OurManifest) => ({ ...rest, metadata: { nmae: metadata.name } }),
    "a value of a wrong type": (manifest: OurManifest) => ({ ...manifest, metadata: { name: [] } }),
  }))
    it(`would be told of ${mistake} in each`, async () => {
      const problems = (await manifestProblems(manifests.map((manifest): Manifest => plant(manifest)))).join("\n");
      for (const [i, { kind }] of manifests.entries()) expect(problems).to.include(`${i}-${kind}.ts`);
    });

  it("name this version's images", async () => {
    const { images } = parse(await readFile(join(FOLDER, "kustomization.yaml"), "utf8")) as {
      images: { name: string; newTag: string }[];
    };
    for (const { name } of images) expect(text, "is there to be given a tag").to.match(RegExp(`image: ${name}$`, "m"));
    const inScripts = [...text.matchAll(/codegen-mcp\/\$image:([\d.]+)/g)].map(([, tag = ""]) => tag);
    expect(new Set([...images.map(({ newTag }) => newTag), ...inScripts])).to.deep.equal(new Set([VERSION]));
  });

  it("set only what there is to set", async () => {
    const example = await readFile("compose/.env.example", "utf8");
    const known = new Set([...example.matchAll(/^([A-Z0-9_]+)=/gm)].map(([, name]) => name));
    const set = manifests.flatMap(({ data, spec }) => {
      const { containers = [], initContainers = [] } = spec?.template?.spec ?? {};
      const inPods = [...containers, ...initContainers].flatMap(({ env = [] }) => env.map(({ name }) => name));
      return [...Object.keys(data ?? {}), ...inPods];
    });
    expect(set.filter((name) => !known.has(name) && !NOT_OURS.has(name))).to.deep.equal([]);
    expect(set).to.include("INTERNAL_URL");
  });

  it("scale on metrics that there are", async () => {
    const metrics = await readFile("docs/metrics.md", "utf8");
    const queries = manifests.flatMap(({ spec }) => spec?.triggers ?? []).map(({ metadata }) => metadata.query);
    expect(queries).to.have.length(2);
    for (const [name] of queries.join(" ").matchAll(/codegen_\w+/g)) expect(metrics).to.include(`\`${name}\``);
  });
});
