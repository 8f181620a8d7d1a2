import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

export interface Manifest {
  apiVersion: string;
  kind: string;
}

/** Where the schema of a kind is: the npm packages carry what Kubernetes and KEDA publish. */
const moduleOf = (apiVersion: string): string =>
  apiVersion.startsWith("keda.sh/") ? `@kubernetes-models/keda/${apiVersion}` : `kubernetes-models/${apiVersion}`;

/**
 * What the published schemas have against manifests: by their validators, which know what is required, values and formats,
 * and by their types, which know the fields that there are.
 */
export const manifestProblems = async (manifests: Manifest[]): Promise<string[]> => [
  ...(await Promise.all(manifests.map(againstSchema))).flat(),
  ...(await againstTypes(manifests)),
];

const againstSchema = async (manifest: Manifest): Promise<string[]> => {
  const { apiVersion, kind } = manifest;
  try {
    const models = (await import(moduleOf(apiVersion))) as Record<string, new (data: object) => { validate(): void }>;
    const Model = models[kind];
    if (!Model) return [`${apiVersion} has no ${kind}`];
    new Model(manifest).validate();
    return [];
  } catch (error) {
    return [`${apiVersion} ${kind}: ${(error as Error).message}`];
  }
};

/** Compiles each as a literal of its kind's type: a literal may have no field that the type has not. */
const againstTypes = async (manifests: Manifest[]): Promise<string[]> => {
  const folder = await mkdtemp(join("dist", "manifests-")); // whence the packages are found
  try {
    const files = await Promise.all(
      manifests.map(async (manifest, i) => {
        const { apiVersion, kind } = manifest;
        const type = `import(${JSON.stringify(moduleOf(apiVersion))}).I${kind}`;
        const file = `${i}-${kind}.ts`;
        await writeFile(join(folder, file), `export const it: ${type} = ${JSON.stringify(manifest, null, 1)};\n`);
        return file;
      }),
    );
    const options = ["--ignoreConfig", "--noEmit", "--strict", "--skipLibCheck", "--pretty", "false"];
    const tsc = resolve("node_modules/.bin/tsc");
    const { stdout } = await promisify(execFile)(tsc, [...options, ...files], { cwd: folder }).catch(
      (error: { stdout: string }) => error,
    );
    return stdout.split("\n").filter((line) => /error TS\d+/.test(line));
  } finally {
    await rm(folder, { recursive: true });
  }
};
