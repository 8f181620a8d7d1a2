import {
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from "@aws-sdk/client-s3";
import type { ObjectStore, StoredObject } from "./object-store.ts";

const ATTEMPTS = 3;
/** A store that is silent for longer is away. */
const CONNECT_MS = 3_000;
const REQUEST_MS = 30_000;
/** Of one request to delete. */
const MAX_DELETED = 1_000;

export interface S3Location {
  bucket: string;
  /** Without slashes at its ends; may be empty. */
  prefix: string;
  region: string;
  /** Of a store that is not Amazon's; undefined for theirs. */
  endpoint: string | undefined;
}

/** Objects in a bucket. Who we are comes from where the SDK looks: AWS_ACCESS_KEY_ID and so on, or the host's role. */
export class S3Store implements ObjectStore {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;

  constructor({ bucket, prefix, region, endpoint }: S3Location) {
    this.#client = new S3Client({
      region,
      maxAttempts: ATTEMPTS,
      requestHandler: { connectionTimeout: CONNECT_MS, requestTimeout: REQUEST_MS },
      // Stores that are not Amazon's do not all know the newer checksums; names say what the bytes must be.
      requestChecksumCalculation: "WHEN_REQUIRED",
      responseChecksumValidation: "WHEN_REQUIRED",
      ...(endpoint ? { endpoint, forcePathStyle: true } : {}),
    });
    this.#bucket = bucket;
    this.#prefix = prefix ? `${prefix}/` : "";
  }

  async put(name: string, bytes: Buffer): Promise<void> {
    await this.#client.send(new PutObjectCommand({ ...this.#at(name), Body: bytes, ContentLength: bytes.length }));
  }

  async get(name: string): Promise<Buffer | undefined> {
    return await ifThere(async () => {
      const { Body } = await this.#client.send(new GetObjectCommand(this.#at(name)));
      return Buffer.from((await Body?.transformToByteArray()) ?? []);
    });
  }

  async has(name: string): Promise<boolean> {
    return (await ifThere(() => this.#client.send(new HeadObjectCommand(this.#at(name))))) !== undefined;
  }

  async *list(prefix: string): AsyncGenerator<StoredObject> {
    let token: string | undefined;
    do {
      const page = await this.#client.send(
        new ListObjectsV2Command({
          Bucket: this.#bucket,
          Prefix: `${this.#prefix}${prefix}/`,
          ...(token ? { ContinuationToken: token } : {}),
        }),
      );
      for (const { Key = "", LastModified } of page.Contents ?? [])
        yield { name: Key.slice(this.#prefix.length), writtenAt: LastModified?.getTime() ?? Date.now() };
      token = page.NextContinuationToken;
    } while (token);
  }

  async delete(names: string[]): Promise<void> {
    for (let from = 0; from < names.length; from += MAX_DELETED) {
      const Objects = names.slice(from, from + MAX_DELETED).map((name) => ({ Key: this.#prefix + name }));
      await this.#client.send(new DeleteObjectsCommand({ Bucket: this.#bucket, Delete: { Objects, Quiet: true } }));
    }
  }

  close(): void {
    this.#client.destroy();
  }

  #at(name: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: this.#prefix + name };
  }
}

/** A bucket that is missing is no missing object. */
const ifThere = async <T>(ask: () => Promise<T>): Promise<T | undefined> => {
  try {
    return await ask();
  } catch (error) {
    const isMissing = error instanceof S3ServiceException && error.$metadata.httpStatusCode === 404;
    if (isMissing && error.name !== "NoSuchBucket") return undefined;
    throw error;
  }
};
