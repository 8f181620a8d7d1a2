import { fileURLToPath } from "node:url";
import { FolderStore } from "./folder-store.ts";
import type { ObjectStore } from "./object-store.ts";

/**
 * Opens where checkpoints go. The S3 client is loaded only where it is wanted: it costs a worker some 25 MB.
 * @param url `file:///folder` or `s3://bucket/prefix`
 */
export const openObjectStore = (url: string, s3: { region: string; endpoint: string | undefined }): ObjectStore => {
  if (url.startsWith("file:")) return new FolderStore(fileURLToPath(url));
  const { hostname: bucket, pathname } = new URL(url);
  const prefix = pathname.replace(/^\/+|\/+$/g, "");
  return new LazyStore(async () => {
    const { S3Store } = await import("./s3-store.ts");
    return new S3Store({ bucket, prefix, ...s3 });
  });
};

class LazyStore implements ObjectStore {
  #opened: Promise<ObjectStore> | undefined;

  constructor(private readonly open: () => Promise<ObjectStore>) {}

  async put(name: string, bytes: Buffer): Promise<void> {
    await (await this.#store()).put(name, bytes);
  }

  async get(name: string): Promise<Buffer | undefined> {
    return await (await this.#store()).get(name);
  }

  async has(name: string): Promise<boolean> {
    return await (await this.#store()).has(name);
  }

  async *list(prefix: string): AsyncGenerator<{ name: string; writtenAt: number }> {
    yield* (await this.#store()).list(prefix);
  }

  async delete(names: string[]): Promise<void> {
    await (await this.#store()).delete(names);
  }

  #store(): Promise<ObjectStore> {
    this.#opened ??= this.open();
    return this.#opened;
  }
}
