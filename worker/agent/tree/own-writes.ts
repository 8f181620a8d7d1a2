/**
 * What has changed files since the last scan: nothing but writes of the agent's own, each of which is named here, or also
 * something that nobody can name, such as a process. Whoever is in doubt says `forget`: then everything is looked at.
 */
export class OwnWrites {
  /** Absolute real paths; undefined where more may have changed. */
  #paths: Set<string> | undefined;

  /** Does a write that changes these files, and the folders that they are in, and nothing else. */
  async during<T extends { targets: readonly string[] }>(write: () => Promise<T>): Promise<T> {
    try {
      const written = await write();
      for (const target of written.targets) this.#paths?.add(target);
      return written;
    } catch (error) {
      this.forget(); // it may be half done
      throw error;
    }
  }

  forget(): void {
    this.#paths = undefined;
  }

  /**
   * A scan begins, while everything stands still.
   * @param isAlone nothing lives in the session that could write from now on
   * @returns what may have changed; undefined for everything
   */
  take(isAlone: boolean): ReadonlySet<string> | undefined {
    const paths = this.#paths;
    this.#paths = isAlone ? new Set() : undefined;
    return isAlone ? paths : undefined;
  }
}
