const PROXY = "http://127.0.0.1:3128"; // where the agent listens (worker/agent/egress-relay.ts)
const DIRECT = "localhost,127.0.0.1,::1";

/** What tells programs of a session with egress of the only way out; some read the one spelling, some the other. */
export const PROXY_ENVIRONMENT: Record<string, string> = {
  HTTP_PROXY: PROXY,
  HTTPS_PROXY: PROXY,
  http_proxy: PROXY,
  https_proxy: PROXY,
  NO_PROXY: DIRECT,
  no_proxy: DIRECT,
};
