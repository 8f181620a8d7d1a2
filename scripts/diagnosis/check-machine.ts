import { existsSync } from "node:fs";
import { readFile, statfs } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname } from "node:path";
import { VERSION } from "../../shared/version.ts";
import { type Finding, note, ok, wrong } from "./finding.ts";

const MIN_NODE = [20, 19];
const MIN_FREE_MB = 1_024;
/** A coordinator holds two a client, a worker two a session. */
const MIN_OPEN_FILES = 4_096;
const ASKED_TIMES = 8;
const ANSWERS_MS = 3_000;

export function checkNode(version = process.versions.node): Finding {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const isNew = major > MIN_NODE[0]! || (major === MIN_NODE[0] && minor >= MIN_NODE[1]!);
  return isNew
    ? ok("Node.js", version)
    : wrong("Node.js", `${version}, older than ${MIN_NODE.join(".")}`, "install a newer one: https://nodejs.org");
}

/** Whether a coordinator could listen there; one of ours that does already is well too. */
export async function checkPort(host: string, port: number): Promise<Finding> {
  const failure = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    const probe = createServer().once("error", resolve);
    probe.listen(port, host, () => probe.close(() => resolve(undefined)));
  });
  if (!failure) return ok("port", `${host}:${port} is free`);
  if (failure.code !== "EADDRINUSE")
    return wrong(
      "port",
      `cannot listen on ${host}:${port} (${failure.code})`,
      "set HOST and PORT to what this machine has",
    );
  const [version] = await versionsAt(`http://${host}:${port}`, 1);
  return version
    ? ok("port", `${host}:${port} is a coordinator's, version ${version}`)
    : wrong("port", `${host}:${port} is another program's`, `ss -ltnp "sport = :${port}" names it; or set PORT`);
}

/** The coordinators behind a URL. Asked several times, because a front door passes on to one after the other. */
export async function checkCoordinators(url: string): Promise<Finding> {
  const versions = [...(await versionsAt(url, ASKED_TIMES))];
  if (versions.length === 0)
    return wrong("coordinators", `${url} does not answer`, "scripts/stack up -d, or npm start");
  const seen = `version ${versions.join(" and ")}`;
  return versions.every((version) => version === VERSION)
    ? ok("coordinators", seen)
    : wrong("coordinators", `${seen}, this is ${VERSION}`, "restart those that are older: scripts/stack up -d");
}

async function versionsAt(url: string, times: number): Promise<Set<string>> {
  const versions = new Set<string>();
  for (let i = 0; i < times; i++) {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), ANSWERS_MS); // AbortSignal.timeout() would not keep this process waiting
    const response = await fetch(new URL("/healthz", url), { signal: abort.signal }).catch(() => undefined);
    const body = (await response?.json().catch(() => undefined)) as { version?: string } | undefined;
    clearTimeout(timer);
    if (body?.version) versions.add(body.version);
  }
  return versions;
}

/** @param folders by what they are for; one that does not exist yet counts as the nearest that does */
export async function checkDisk(folders: ReadonlyMap<string, string>): Promise<Finding[]> {
  const seen = new Map<string, Finding>();
  for (const [use, folder] of folders) {
    const there = nearest(folder);
    const { bavail, bsize } = await statfs(there);
    const freeMb = Math.floor((bavail * bsize) / 1024 / 1024);
    const finding =
      freeMb >= MIN_FREE_MB
        ? ok("disk", `${(freeMb / 1024).toFixed(1)} GiB free for ${use}`)
        : wrong(
            "disk",
            `${freeMb} MiB free for ${use}, in ${folder}`,
            `du -xh ${there} | sort -h | tail shows what fills it`,
          );
    seen.set(finding.seen, finding);
  }
  return [...seen.values()];
}

const nearest = (folder: string): string =>
  existsSync(folder) || dirname(folder) === folder ? folder : nearest(dirname(folder));

export async function checkLimits(): Promise<Finding[]> {
  if (process.platform !== "linux") return [];
  const limits = await readFile("/proc/self/limits", "utf8");
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits)?.[1] ?? "0"; // Node.js raises its own to the hard one
  const isEnough = hard === "unlimited" || Number(hard) >= MIN_OPEN_FILES;
  const overcommit = await readFile("/proc/sys/vm/overcommit_memory", "utf8").catch(() => "");
  return [
    isEnough
      ? ok("open files", `up to ${hard}`)
      : wrong("open files", `up to ${hard}`, `ulimit -n ${MIN_OPEN_FILES}, or LimitNOFILE= of its service`),
    overcommit.trim() === "1"
      ? ok("overcommit", "allowed, as Redis wants it")
      : note(
          "overcommit",
          "Redis may fail to rewrite its file when memory is short",
          "sudo sysctl vm.overcommit_memory=1",
        ),
  ];
}
