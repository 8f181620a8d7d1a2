import type { LookupAddress } from "node:dns";
import { Resolver } from "node:dns/promises";

/**
 * Asks the name server itself. The system's lookup takes one of four threads of this process for as long as the server is
 * silent, and its files wait for those: sessions that ask for slow names would hold up all others.
 */
const resolver = new Resolver({ timeout: 2_000, tries: 2 });

/** @returns IPv4 first. @throws {Error} with a `code` such as ENOTFOUND or ETIMEOUT */
export const resolveName = async (name: string): Promise<LookupAddress[]> => {
  const [v4, v6] = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
  const found = [
    ...(v4.status === "fulfilled" ? v4.value.map((address) => ({ address, family: 4 })) : []),
    ...(v6.status === "fulfilled" ? v6.value.map((address) => ({ address, family: 6 })) : []),
  ];
  if (found.length === 0 && v4.status === "rejected") throw v4.reason;
  return found;
};
