import { randomBytes } from "node:crypto";
import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { expect } from "chai";
import Docker from "dockerode";
import pino from "pino";
import { eventually } from "../../test/support/eventually.ts";
import { silentLog } from "../../test/support/silent-log.ts";
import { uncounted } from "../../test/support/uncounted.ts";
import { AGENT_FILES, AGENT_IMAGE, SANDBOX_IMAGE, TEST_LIMITS, useDocker } from "../../test/support/use-docker.ts";
import { AGENT_FILE } from "./agent-files.ts";
import { ensureAgentVolume } from "./agent-volume.ts";
import { Engine } from "./engine.ts";
import type { Sandbox } from "./sandbox.ts";
import { SandboxHost } from "./sandbox-host.ts";
import { SandboxImages } from "./sandbox-images.ts";
import { OWN_PROFILE, readSeccompProfile } from "./seccomp-profile.ts";

/** An engine's socket that can go away and come back, in front of the real one. */
class EngineSocket {
  #server: Server | undefined;
  readonly #sockets = new Set<Socket>();

  constructor(readonly path: string) {}

  async up(): Promise<void> {
    this.#server = createServer((client) => {
      const engine = connect("/var/run/docker.sock");
      for (const socket of [client, engine]) {
        this.#sockets.add(socket);
        socket.on("error", () => {});
        socket.on("close", () => {
          client.destroy();
          engine.destroy();
        });
      }
      client.pipe(engine).pipe(client);
    });
    await new Promise<void>((resolve) => void this.#server?.listen(this.path, resolve));
  }

  down(): void {
    this.#server?.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

describe("SandboxHost", () => {
  const docker = useDocker();
  const options = () => ({
    deployment: docker.deployment,
    store: () => "test",
    worker: "w_other",
    images: new SandboxImages([], SANDBOX_IMAGE),
    agentImage: AGENT_IMAGE,
    agentFiles: AGENT_FILES,
    runFolder: docker.runFolder,
    transport: "auto" as const,
    limits: TEST_LIMITS,
    seccompProfile: readSeccompProfile(OWN_PROFILE),
    runtime: undefined,
    egress: undefined,
  });

  it("says that it is unavailable while there is no engine, and becomes available when it comes, again and again", async () => {
    const socket = new EngineSocket(join(docker.runFolder, "engine.sock"));
    const engine = new Engine(new Docker({ socketPath: socket.path }));
    const host = new SandboxHost({ engine, metrics: uncounted, log: silentLog }, { ...options(), transport: "socket" });
    const available = () => new Promise<void>((resolve) => host.whenAvailable(resolve));
    host.start();
    expect(host.isAvailable).to.equal(false);
    expect(await host.create().catch((error) => error.code)).to.equal("SANDBOX_UNAVAILABLE");
    const left: Sandbox[] = [];
    for (let outage = 0; outage < 2; outage++) {
      const back = available();
      await socket.up();
      await back;
      const sandbox = await host.create();
      socket.down();
      while (host.isAvailable) await new Promise((resolve) => void setImmediate(resolve));
      const refused = await sandbox.remove().catch((error) => error.code);
      expect(refused).to.equal("SANDBOX_UNAVAILABLE");
      left.push(sandbox);
    }
    await socket.up();
    await Promise.all(left.map((sandbox) => sandbox.remove())); // can be tried again once the engine is back
    await host.stop();
    socket.down();
  });

  it("tries whether sockets reach into a container, and wastes nothing on it", async () => {
    const host = new SandboxHost({ engine: docker.engine, metrics: uncounted, log: silentLog }, options());
    const available = new Promise<void>((resolve) => host.whenAvailable(resolve));
    host.start();
    await available;
    expect(host.transport).to.equal("socket");
    const [tested] = await docker.containers();
    const sandbox = await host.create();
    expect(sandbox.containerId).to.equal(tested);
    await sandbox.remove();
    await host.stop();
  });

  it("fills the agent's volume once, however many workers begin at once", async () => {
    const bundle = Buffer.concat([AGENT_FILES.get(AGENT_FILE)!, Buffer.from(`\n// ${randomBytes(8).toString("hex")}`)]);
    const agentFiles = new Map(AGENT_FILES).set(AGENT_FILE, bundle);
    const names = await Promise.all([1, 2, 3].map(() => ensureAgentVolume(docker.engine, AGENT_IMAGE, agentFiles)));
    expect(new Set(names).size).to.equal(1);
    const host = new SandboxHost(
      { engine: docker.engine, metrics: uncounted, log: silentLog },
      { ...options(), agentFiles },
    );
    const available = new Promise<void>((resolve) => host.whenAvailable(resolve));
    host.start();
    await available;
    await host.stop();
    await host.removeOwned();
    await docker.docker.getVolume(names[0]!).remove();
  });

  it("takes no sessions under a runtime that the engine does not know, and says so", async () => {
    const said: string[] = [];
    const log = pino({ level: "error" }, { write: (line: string) => void said.push(line) });
    const host = new SandboxHost(
      { engine: docker.engine, metrics: uncounted, log },
      { ...options(), runtime: "runsc" },
    );
    host.start();
    await eventually("it says so", () => said.some((line) => line.includes('SANDBOX_RUNTIME=\\"runsc\\"')));
    expect(host.isAvailable).to.equal(false);
    await host.stop();
  });

  it("names the way out when an image is missing", async () => {
    const error = await docker.engine.imageId("codegen-mcp/none").catch((error) => error);
    expect(error).to.include({ code: "SANDBOX_UNAVAILABLE", hint: "Build the images with scripts/build-images" });
  });
});
