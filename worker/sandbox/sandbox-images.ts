import { ToolFailure } from "../../shared/failure.ts";

/** The images that a worker offers, by the names that `create_session` takes. */
export class SandboxImages {
  readonly #references: ReadonlyMap<string, string>;
  readonly defaultName: string;

  /**
   * @param offered references by name
   * @param preferred the image of sessions that name none: one of the names, or a reference, then offered as "default"
   */
  constructor(offered: Iterable<readonly [name: string, reference: string]>, preferred: string) {
    const references = new Map(offered);
    this.defaultName = references.has(preferred) ? preferred : "default";
    if (!references.has(preferred)) references.set(this.defaultName, preferred);
    this.#references = references;
  }

  get names(): string[] {
    return [...this.#references.keys()];
  }

  /** @throws {ToolFailure} IMAGE_NOT_FOUND for a name that is not offered */
  reference(name: string): string {
    const reference = this.#references.get(name);
    if (reference === undefined) throw this.notFound(`There is no image "${name}"`);
    return reference;
  }

  notFound(what: string, options: ErrorOptions = {}): ToolFailure {
    return new ToolFailure("IMAGE_NOT_FOUND", what, { ...options, hint: `Images: ${this.names.join(", ")}.` });
  }
}
