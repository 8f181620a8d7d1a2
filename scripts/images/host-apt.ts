import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";

/** How this host reaches Debian's packages; all empty where it is no Debian, and then the base's own settings serve. */
export interface HostApt {
  /** One-line style entries for bookworm's main archive. */
  sources: string[];
  /** `Acquire::…` settings: proxies, timeouts, checks that are off. */
  settings: string[];
  /** The host's trust store, only where a source is https: a slim base has none. */
  caFile: string | undefined;
}

/** Where the trust store lies inside an image while it is built. */
export const CA_IN_IMAGE = "/etc/apt/host-ca.crt";

const SUITES = new Set(["bookworm", "bookworm-updates", "bookworm-security"]);
const CA_FILES = ["/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem"];

export function readHostApt(env: NodeJS.ProcessEnv): HostApt {
  const sources = new Set<string>();
  const format = "$(REPO_URI) $(RELEASE) $(COMPONENT)";
  for (const line of linesOf("apt-get", ["indextargets", "--format", format, "Created-By: Packages"])) {
    const [uri, suite, component] = line.split(" ");
    // Only Debian's own main: vendors' repositories name their suites or components otherwise.
    if (suite && SUITES.has(suite) && component === "main") sources.add(`deb ${uri} ${suite} main`);
  }
  const settings = linesOf("apt-config", ["dump"]).filter(
    (line) =>
      /^Acquire::(https?::|Check-Date|Check-Valid-Until|Retries|ForceIPv)/.test(line) &&
      !/CaInfo|Ssl(Cert|Key)|AutoDetect/i.test(line),
  );
  const isHttps = [...sources].some((line) => line.startsWith("deb https:"));
  const caFile = isHttps ? [env.NODE_EXTRA_CA_CERTS, ...CA_FILES].find((file) => file && existsSync(file)) : undefined;
  return { sources: [...sources], settings, caFile };
}

/** The settings for an apt that runs on this host. */
export const aptOptions = ({ settings, caFile }: HostApt): string[] =>
  caFile ? [...settings, `Acquire::https::CAInfo "${caFile}";`] : settings;

/** Files to lay over /etc/apt of an image, by path relative to it. */
export function aptFiles({ sources, settings, caFile }: HostApt): Map<string, string> {
  const conf = caFile ? [...settings, `Acquire::https::CAInfo "${CA_IN_IMAGE}";`] : settings;
  const files = new Map([["apt.conf.d/host", conf.map((line) => `${line}\n`).join("")]]);
  if (sources.length > 0) files.set("sources.list", sources.map((line) => `${line}\n`).join(""));
  if (caFile) files.set("host-ca.crt", readFileSync(caFile, "utf8"));
  return files;
}

function linesOf(command: string, args: string[]): string[] {
  const { status, stdout } = spawnSync(command, args, { encoding: "utf8" });
  return status === 0 ? stdout.split("\n").filter(Boolean) : [];
}
