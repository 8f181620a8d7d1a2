import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { request } from "node:http";
import { homedir } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { SetupFailure, say } from "./say.mjs";

const DEFAULT_SOCKET = "/var/run/docker.sock";
const START_TIMEOUT_MS = 60_000;
const LOG = ".data/dockerd.log";

/**
 * Looks for an engine that answers: the one DOCKER_HOST names, or else the usual local sockets.
 * Returns `{ host }` as for DOCKER_HOST, or `{ problem }`, a clause.
 */
export async function findEngine(env) {
  if (env.DOCKER_HOST) {
    // Only dockerode knows how to go over ssh.
    if (env.DOCKER_HOST.startsWith("ssh:")) return { host: env.DOCKER_HOST };
    const failure = await ping(env.DOCKER_HOST, env);
    return failure
      ? { problem: `DOCKER_HOST=${env.DOCKER_HOST} does not answer (${failure})` }
      : { host: env.DOCKER_HOST };
  }
  let denied = false;
  for (const path of [
    DEFAULT_SOCKET,
    ...(env.XDG_RUNTIME_DIR ? [`${env.XDG_RUNTIME_DIR}/docker.sock`] : []),
    `${homedir()}/.docker/run/docker.sock`,
  ]) {
    const failure = await ping(`unix://${path}`, env);
    if (!failure) return { host: `unix://${path}` };
    denied ||= failure === "EACCES";
  }
  return { problem: denied ? "this user may not use Docker's socket" : "no Docker Engine answers", isDenied: denied };
}

/** Starts dockerd in a process session of its own, so that no terminal's signal reaches it, and waits for its answer. */
export async function startEngine(dockerd, env) {
  mkdirSync(".data", { recursive: true });
  const log = openSync(LOG, "w");
  const child = spawn("sh", ["scripts/bootstrap/start-dockerd", dockerd], {
    detached: true,
    stdio: ["ignore", log, log],
    env,
  });
  closeSync(log);
  let ended;
  child
    .on("error", (error) => (ended = error.message))
    .on("exit", (code, signal) => (ended = `ended with ${code ?? signal}`));
  child.unref();
  for (const deadline = Date.now() + START_TIMEOUT_MS; Date.now() < deadline; await sleep(100)) {
    if (!(await ping(`unix://${DEFAULT_SOCKET}`, env))) return child.pid;
    if (ended) break;
  }
  if (!ended) process.kill(child.pid, "SIGTERM");
  const lastLines = existsSync(LOG) ? readFileSync(LOG, "utf8").trimEnd().split("\n").slice(-8).join("\n  ") : "";
  say(`the end of ${LOG}:\n  ${lastLines}`);
  throw new SetupFailure(`Cannot start the Docker Engine: dockerd ${ended ?? "does not answer"}; its log is ${LOG}`);
}

/** Returns why it failed, or undefined. */
function ping(host, env) {
  const url = new URL(host.replace(/^(tcp|unix):/, "http:"));
  const isTls = !host.startsWith("unix:") && env.DOCKER_TLS_VERIFY;
  if (isTls) return Promise.resolve(undefined); // dockerode has the keys; it says so itself if they do not fit
  const target = host.startsWith("unix:")
    ? { socketPath: host.slice("unix://".length) }
    : { host: url.hostname, port: url.port || 2375 };
  return new Promise((resolve) => {
    const call = request({ ...target, path: "/_ping", timeout: 5_000, headers: { Host: "docker" } }, (response) => {
      response.resume();
      resolve(response.statusCode === 200 ? undefined : `HTTP ${response.statusCode}`);
    });
    call.on("timeout", () => call.destroy(Object.assign(new Error("timeout"), { code: "ETIMEDOUT" })));
    call.on("error", (error) => resolve(error.code ?? error.message));
    call.end();
  });
}
