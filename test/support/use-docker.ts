import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import { readAgentFiles } from "../../worker/sandbox/agent-files.ts";
import {
  type AgentTransport,
  DEFAULT_LIMITS,
  LABELS,
  type SandboxLimits,
} from "../../worker/sandbox/container-spec.ts";
import { Engine } from "../../worker/sandbox/engine.ts";
import { SandboxHost } from "../../worker/sandbox/sandbox-host.ts";
import { SandboxImages } from "../../worker/sandbox/sandbox-images.ts";
import { OWN_PROFILE, readSeccompProfile } from "../../worker/sandbox/seccomp-profile.ts";
import { silentLog } from "./silent-log.ts";
import { TestSandbox } from "./test-sandbox.ts";
import { uncounted } from "./uncounted.ts";

const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
export const SANDBOX_IMAGE = process.env.SANDBOX_IMAGE ?? `codegen-mcp/python:${version}`;
export const AGENT_IMAGE = process.env.AGENT_IMAGE ?? `codegen-mcp/agent:${version}`;
export const AGENT_FILES = readAgentFiles("dist/worker/agent");

/** Small enough that a test fills them in a moment. */
export const TEST_LIMITS: SandboxLimits = { ...DEFAULT_LIMITS, memoryMb: 256, diskMb: 64, tmpMb: 16, diskFiles: 5_000 };

export interface UseDocker {
  readonly docker: Docker;
  readonly engine: Engine;
  readonly host: SandboxHost;
  readonly deployment: string;
  readonly runFolder: string;
  /** A sandbox of one test, which removes it. */
  claim(env?: Record<string, string>): Promise<TestSandbox>;
  /** A sandbox of the whole file: made once, removed after the last test. */
  shared(): Promise<TestSandbox>;
  /** Ids of this file's containers. */
  containers(): Promise<string[]>;
}

/** A real engine; afterEach fails the test if one of its containers is left. `offered` are images besides the default. */
export const useDocker = (
  transport: AgentTransport = "socket",
  offered: Iterable<readonly [name: string, reference: string]> = [],
): UseDocker => {
  const deployment = `test-${randomBytes(5).toString("hex")}`;
  const docker = new Docker();
  const engine = new Engine(docker);
  let host: SandboxHost | undefined;
  let runFolder = "";
  let sharedSandbox: Promise<TestSandbox> | undefined;

  const containers = () => engine.list({ [LABELS.deployment]: deployment });
  const claim = async (env?: Record<string, string>) => TestSandbox.claim(await host!.create(), env);

  before(async () => {
    mkdirSync(join(tmpdir(), "codegen-mcp"), { recursive: true });
    runFolder = mkdtempSync(join(tmpdir(), "codegen-mcp", "t-"));
    const options = {
      deployment,
      store: () => "test",
      worker: "w_test",
      images: new SandboxImages(offered, SANDBOX_IMAGE),
      agentImage: AGENT_IMAGE,
      agentFiles: AGENT_FILES,
      runFolder,
      transport,
      limits: TEST_LIMITS,
      seccompProfile: readSeccompProfile(OWN_PROFILE),
      runtime: undefined,
      egress: undefined,
    };
    host = new SandboxHost({ engine, metrics: uncounted, log: silentLog }, options);
    const isAvailable = new Promise<void>((resolve) => host!.whenAvailable(resolve));
    host.start();
    await isAvailable;
  });

  afterEach(async () => {
    const kept = (await sharedSandbox?.catch(() => undefined))?.sandbox.containerId;
    const left = (await containers()).filter((id) => id !== kept);
    await Promise.all(left.map((id) => engine.remove(id)));
    if (left.length > 0) throw new Error(`the test left ${left.length} of its containers behind`);
  });

  after(async () => {
    await (await sharedSandbox?.catch(() => undefined))?.sandbox.remove();
    await host?.removeOwned();
    await host?.stop();
    rmSync(runFolder, { recursive: true, force: true });
  });

  return {
    docker,
    engine,
    deployment,
    get host() {
      return host!;
    },
    get runFolder() {
      return runFolder;
    },
    claim,
    shared: () => {
      sharedSandbox ??= claim();
      return sharedSandbox;
    },
    containers,
  };
};
