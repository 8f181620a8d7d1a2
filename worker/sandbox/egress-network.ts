import type { Engine } from "./engine.ts";

/** The bridge network of a worker's sessions with egress. */
export interface EgressNetwork {
  name: string;
  /** The address at which they reach this host. */
  gateway: string;
}

/**
 * Makes the network unless it is there. It reaches whatever this host reaches, unfiltered: who narrows that down does it
 * here, and tells sessions of a proxy where they get their environment (`ContainerProvider`).
 */
export const ensureEgressNetwork = async (
  engine: Engine,
  worker: string,
  labels: Record<string, string>,
): Promise<EgressNetwork> => {
  const name = `codegen-mcp-egress-${worker}`;
  const there = await engine.gatewayOf(name);
  if (there === undefined) await engine.createNetwork(name, labels);
  return { name, gateway: there ?? (await engine.gatewayOf(name)) ?? "" };
};
