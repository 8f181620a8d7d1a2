/** `full`, which is offered unless a client asks otherwise, holds `core`; `codegen-mcp` comes on top of either. */
export const TOOLSETS = ["core", "full", "codegen-mcp"] as const;
export type PublicToolset = (typeof TOOLSETS)[number];
/** `conformance` is for tests, and no client can choose it. */
export type Toolset = PublicToolset | "conformance";

/** The toolsets of all tools that a choice offers. */
export const offeredBy = (chosen: readonly Toolset[]): ReadonlySet<Toolset> => {
  const isCoreOnly = chosen.includes("core") && !chosen.includes("full");
  return new Set([...chosen, "core", ...(isCoreOnly ? [] : (["full"] as const))]);
};
