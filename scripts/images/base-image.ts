import { spawn, spawnSync } from "node:child_process";
import type Docker from "dockerode";
import { followEvents } from "./engine-events.ts";
import { aptOptions, type HostApt } from "./host-apt.ts";

const REMOTE_BASE = "debian:bookworm-slim";
const LOCAL_BASE = "codegen-mcp/base:bookworm";
/** A registry that has not sent a first layer by then counts as unreachable. */
const PULL_SILENCE_MS = 20_000;

/** Returns the base image's name: one that is here, else pulled, else bootstrapped from Debian's packages. */
export async function ensureBase(docker: Docker, apt: HostApt, say: (line: string) => void): Promise<string> {
  for (const name of [REMOTE_BASE, LOCAL_BASE]) {
    if (await hasImage(docker, name)) {
      say(`base: ${name}, already on this engine`);
      return name;
    }
  }
  say(`base: pulling ${REMOTE_BASE}`);
  const failure = await pull(docker, REMOTE_BASE);
  if (!failure) {
    say(`base: ${REMOTE_BASE}, pulled`);
    return REMOTE_BASE;
  }
  say(`base: cannot pull (${failure}); bootstrapping ${LOCAL_BASE} from Debian's packages, about 20 s`);
  await bootstrap(docker, apt);
  say(`base: ${LOCAL_BASE}, bootstrapped with mmdebstrap`);
  return LOCAL_BASE;
}

/** @throws when the image is not here and cannot be pulled */
export async function ensurePulled(docker: Docker, name: string, say: (line: string) => void): Promise<string> {
  if (await hasImage(docker, name)) return name;
  say(`base: pulling ${name}`);
  const failure = await pull(docker, name);
  if (failure) throw new Error(`Cannot pull ${name}: ${failure}`);
  return name;
}

export async function hasImage(docker: Docker, name: string): Promise<boolean> {
  return docker
    .getImage(name)
    .inspect()
    .then(
      () => true,
      (error: { statusCode?: number }) => {
        if (error.statusCode === 404) return false;
        throw error;
      },
    );
}

/** Returns why it failed, or undefined. */
async function pull(docker: Docker, name: string): Promise<string | undefined> {
  const abort = new AbortController();
  const silence = setTimeout(() => abort.abort(), PULL_SILENCE_MS);
  try {
    const stream = await docker.pull(name, { abortSignal: abort.signal });
    await followEvents(stream, () => silence.refresh());
    return undefined;
  } catch (error) {
    return abort.signal.aborted ? `no answer in ${PULL_SILENCE_MS / 1000} s` : firstLine(error);
  } finally {
    clearTimeout(silence);
  }
}

async function bootstrap(docker: Docker, apt: HostApt): Promise<void> {
  ensureMmdebstrap();
  const child = spawn(
    "mmdebstrap",
    [
      "--variant=minbase",
      "--include=ca-certificates",
      ...aptOptions(apt).map((line) => `--aptopt=${line}`),
      ...["doc", "info", "locale", "man"].map((kind) => `--dpkgopt=path-exclude=/usr/share/${kind}/*`),
      "--customize-hook=rm -f $1/etc/apt/apt.conf.d/99mmdebstrap",
      "bookworm",
      "-",
      ...apt.sources,
    ],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let log = "";
  child.stderr.on("data", (chunk: Buffer) => {
    log = (log + chunk).slice(-4_000);
  });
  const ended = new Promise<number | null>((resolve, reject) => child.on("error", reject).on("close", resolve));
  const [repo = "", tag = ""] = LOCAL_BASE.split(":");
  const stream = await docker.importImage(child.stdout, { repo, tag: `${tag}-unfinished` });
  const imported = followEvents(stream);
  const [code] = await Promise.all([ended, imported]);
  if (code !== 0) throw new Error(`Cannot bootstrap ${LOCAL_BASE}: mmdebstrap ended with ${code}\n${log}`);
  // Tagged only when whole: the next run takes a tag that exists for a finished base.
  const unfinished = docker.getImage(`${LOCAL_BASE}-unfinished`);
  await unfinished.tag({ repo, tag });
  await unfinished.remove();
}

function ensureMmdebstrap(): void {
  const found = () => spawnSync("mmdebstrap", ["--version"], { stdio: "ignore" }).status === 0;
  if (found()) return;
  spawnSync("scripts/install-packages", ["mmdebstrap"], { stdio: "inherit" });
  if (found()) return;
  throw new Error(
    `Cannot build the sandbox image: ${REMOTE_BASE} cannot be pulled and mmdebstrap is not installed; ` +
      `run "apt-get install mmdebstrap" as root, or "docker load" an image named ${REMOTE_BASE}`,
  );
}

const firstLine = (error: unknown): string => String(error instanceof Error ? error.message : error).split("\n")[0]!;
