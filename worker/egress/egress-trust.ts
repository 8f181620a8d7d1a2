import { rootCertificates } from "node:tls";
import { CONTAINER_PATHS } from "../sandbox/container-spec.ts";

const AUTHORITY_FILE = "egress-ca.pem";
const BUNDLE_FILE = "egress-bundle.pem";
/** Who reads the whole list of whom to trust from a file; each program has a name of its own for it. */
const BUNDLE_VARIABLES = [
  "SSL_CERT_FILE",
  "CURL_CA_BUNDLE",
  "REQUESTS_CA_BUNDLE",
  "PIP_CERT",
  "GIT_SSL_CAINFO",
  "CARGO_HTTP_CAINFO",
];

/** What programs of a session need to trust the proxy, in the container's own folder, which they cannot write to. */
export const trustFiles = (certificates: string[]): Map<string, string> =>
  new Map([
    [AUTHORITY_FILE, lines(certificates)],
    [BUNDLE_FILE, lines([...rootCertificates, ...certificates])],
  ]);

export const TRUST_ENVIRONMENT: Record<string, string> = {
  ...Object.fromEntries(BUNDLE_VARIABLES.map((name) => [name, `${CONTAINER_PATHS.run}/${BUNDLE_FILE}`])),
  NODE_EXTRA_CA_CERTS: `${CONTAINER_PATHS.run}/${AUTHORITY_FILE}`, // beyond those that it brings along
};

const lines = (certificates: string[]): string => certificates.map((one) => `${one.trim()}\n`).join("");
