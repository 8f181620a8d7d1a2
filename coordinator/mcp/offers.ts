import {
  findTool,
  offeredBy,
  type PublicToolset,
  TOOLSETS,
  type Tool,
  type Toolset,
  toolList,
} from "../../shared/catalog/index.ts";

/** What one client is shown and may call. */
export interface Offer {
  list: ReturnType<typeof toolList>;
  find(tool: string): Tool | undefined;
}

export const NOTHING: Offer = { list: [], find: () => undefined };

/** What each URL offers: `?toolset=` names it, else the operator's `TOOLSETS`. Lists are built once a choice. */
export class Offers {
  readonly #byChoice = new Map<string, Offer>();

  /** @param always offered whatever a client chooses */
  constructor(
    private readonly defaults: readonly Toolset[],
    private readonly always: readonly Toolset[] = [],
  ) {}

  /** @returns undefined when the URL names a toolset that there is none of */
  of(url: string): Offer | undefined {
    const query = url.indexOf("?");
    const named = query < 0 ? [] : new URLSearchParams(url.slice(query)).getAll("toolset");
    const names = named.flatMap((text) => text.split(",")).filter(Boolean);
    if (!names.every(isToolset)) return undefined;
    const chosen = [...offeredBy([...(names.length > 0 ? names : this.defaults), ...this.always])].sort();
    const known = this.#byChoice.get(chosen.join());
    if (known) return known;
    const offered = new Set<Toolset | undefined>(chosen);
    const find = (name: string): Tool | undefined => {
      const tool = findTool(name);
      return offered.has(tool?.toolset) ? tool : undefined;
    };
    const offer = { list: toolList(chosen), find };
    this.#byChoice.set(chosen.join(), offer);
    return offer;
  }
}

const isToolset = (name: string): name is PublicToolset => (TOOLSETS as readonly string[]).includes(name);
