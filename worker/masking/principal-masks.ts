import { SecretMask } from "./secret-mask.ts";

/** What is masked for whom: the shapes for all, and the values that are registered for them. */
export class PrincipalMasks {
  /** By the values, of which there are as many sets as the operator wrote. */
  readonly #masks = new Map<string, SecretMask>();

  constructor(private readonly valuesOf: (principal: string) => readonly string[]) {}

  of(principal: string): SecretMask {
    const values = this.valuesOf(principal);
    const key = values.join("\n");
    const known = this.#masks.get(key) ?? new SecretMask(values);
    this.#masks.set(key, known);
    return known;
  }
}
