import { isIPv4, isIPv6 } from "node:net";

/** As `Host` names it: `[::1]` for each of the ways to write that address. */
const asHost = (address: string): string => {
  if (!isIPv6(address)) return address;
  const url = `http://[${address}]`;
  return URL.canParse(url) ? new URL(url).hostname : `[${address}]`; // one with a zone is no part of a URL
};

/** Whether only this machine reaches a server that listens there. A name is looked up, and so may be any address. */
export const isLoopback = (bind: string): boolean => {
  const host = asHost(bind);
  return host === "localhost" || host === "[::1]" || (isIPv4(host) && host.startsWith("127."));
};

/** The name that requests have in `Host` for it; none where the server listens on every address. */
export const namesOf = (bind: string): string[] =>
  [asHost(bind)].filter((host) => host !== "0.0.0.0" && host !== "[::]");
