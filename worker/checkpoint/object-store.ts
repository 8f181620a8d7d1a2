/** Where bytes are kept. Names are slash-separated, of `[a-z0-9/-]`. */
export interface ObjectStore {
  /** Whole and durable when it resolves; a reader never sees a part. Replaces what had the name. */
  put(name: string, bytes: Buffer): Promise<void>;
  /** Undefined when there is none. */
  get(name: string): Promise<Buffer | undefined>;
  has(name: string): Promise<boolean>;
  /** In no order; what comes and goes meanwhile may be missing. */
  list(prefix: string): AsyncIterable<StoredObject>;
  delete(names: string[]): Promise<void>;
}

export interface StoredObject {
  name: string;
  /** ms since 1970, by the store's clock. */
  writtenAt: number;
}
