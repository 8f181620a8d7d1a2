import { randomBytes } from "node:crypto";
import type { Redis } from "ioredis";
import { keys } from "./keys.ts";

/**
 * Which Redis the records stand in: a random id that the first process of a deployment writes, and that nothing ever
 * changes. What is made outside of Redis bears it, and is removed on this Redis's word only. A Redis that is empty, another
 * deployment's or a wrong one holds another id, or none.
 */
export class StoreIdentity {
  #id = "";

  constructor(
    private readonly redis: Redis,
    private readonly deployment: string,
  ) {}

  /** The id that a Redis holds now; empty for none. */
  static async idIn(redis: Redis): Promise<string> {
    return (await redis.get(keys.store))?.split(" ")[1] ?? "";
  }

  /** Once, at the start. Later on an id that is missing is a sign that the records are lost, not a thing to write. */
  async establish(): Promise<void> {
    await this.redis.set(keys.store, `${this.deployment} ${randomBytes(8).toString("hex")}`, "NX");
    this.#id = await StoreIdentity.idIn(this.redis);
  }

  /** Empty before it was established. */
  get id(): string {
    return this.#id;
  }

  /** Whether Redis still is what it was, and this deployment's. */
  async isConfirmed(): Promise<boolean> {
    return this.#id !== "" && (await this.redis.get(keys.store)) === `${this.deployment} ${this.#id}`;
  }
}
