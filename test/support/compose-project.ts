import { execFile } from "node:child_process";
import { appendFile, copyFile, cp, mkdir, mkdtemp, readdir, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { promisify } from "node:util";
import Docker from "dockerode";
import { freePort } from "../../compose/embedded/private-redis.ts";

/** Copied, because Compose reads and keeps settings there; the rest is the repository's own. */
const COPIED = ["compose", "scripts", "docs"];
const docker = new Docker();

export interface Left {
  containers: string[];
  networks: string[];
  volumes: string[];
  runFolders: string[];
}

/** The stack of compose/ under a name, settings, and a port of its own, so that it meets no other on this machine. */
export class ComposeProject {
  private constructor(
    readonly folder: string,
    readonly name: string,
    readonly port: number,
  ) {}

  static async create(settings: Record<string, string> = {}): Promise<ComposeProject> {
    const folder = await mkdtemp(join(tmpdir(), "codegen-mcp-compose-"));
    for (const entry of await readdir(".")) {
      if (entry === ".git") continue;
      if (COPIED.includes(entry)) await cp(entry, join(folder, entry), { recursive: true });
      else await symlink(resolve(entry), join(folder, entry));
    }
    const name = `cg${basename(folder).replaceAll(/[^a-z0-9]/gi, "")}`.toLowerCase();
    const project = new ComposeProject(folder, name, await freePort());
    await copyFile("compose/.env.example", join(folder, "compose/.env"));
    const own = {
      COMPOSE_PROJECT_NAME: name,
      DEPLOYMENT: name,
      RUN_DIR: project.runFolder,
      FRONT_PORT: String(project.port),
      PUBLIC_URL: project.origin,
      ...settings,
    };
    const lines = Object.entries(own).map(([key, value]) => `${key}=${value}\n`);
    await appendFile(join(folder, "compose/.env"), lines.join(""));
    await mkdir(project.runFolder, { recursive: true });
    return project;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get url(): string {
    return `${this.origin}/mcp`;
  }

  get runFolder(): string {
    return `/run/codegen-mcp-test/${this.name}`;
  }

  /** One of the repository's scripts, in the project's folder. @returns its stdout @throws with what it wrote */
  async run(command: string, ...args: string[]): Promise<string> {
    const { COMPOSE_PROJECT_NAME: _, ...env } = process.env;
    const { stdout } = await promisify(execFile)(command, args, { cwd: this.folder, env, maxBuffer: 64 * 1024 * 1024 });
    return stdout;
  }

  stack(...args: string[]): Promise<string> {
    return this.run("scripts/stack", ...args);
  }

  /** What a client sends besides: the token that the first `up` made. */
  async headers(): Promise<Record<string, string>> {
    const token = await readFile(join(this.folder, "compose/auth/operator.token"), "utf8");
    return { Authorization: `Bearer ${token.trim()}` };
  }

  /** The containers of one of its services. */
  async containersOf(service: string): Promise<Docker.ContainerInspectInfo[]> {
    const filters = { label: [`com.docker.compose.project=${this.name}`, `com.docker.compose.service=${service}`] };
    const listed = await docker.listContainers({ all: true, filters });
    return await Promise.all(listed.map(({ Id }) => docker.getContainer(Id).inspect()));
  }

  /** What `/readyz` says of it through the front door; undefined while nobody answers. */
  async readiness(): Promise<{ redis: string; workers: number } | undefined> {
    // Docker's proxy takes connections for a container that is not there yet, and keeps them.
    const signal = AbortSignal.timeout(3_000);
    const response = await fetch(`${this.origin}/readyz`, { signal }).catch(() => undefined);
    return response?.ok ? ((await response.json()) as { redis: string; workers: number }) : undefined;
  }

  /** Ids of what is there of it: its own, and what its workers made. */
  async left(): Promise<Left> {
    const ofProject = { filters: { label: [`com.docker.compose.project=${this.name}`] } };
    const ofDeployment = { filters: { label: [`codegen-mcp.deployment=${this.name}`] } };
    const [containers, sandboxes, networks, egress, volumes] = await Promise.all([
      docker.listContainers({ all: true, ...ofProject }),
      docker.listContainers({ all: true, ...ofDeployment }),
      docker.listNetworks(ofProject),
      docker.listNetworks(ofDeployment),
      docker.listVolumes(ofProject),
    ]);
    return {
      containers: [...containers, ...sandboxes].map(({ Names }) => Names.join()),
      networks: [...networks, ...egress].map(({ Name }) => Name),
      volumes: volumes.Volumes.map(({ Name }) => Name),
      runFolders: await readdir(this.runFolder).catch(() => []),
    };
  }

  /** Removes what a failed test may have left, and the folder. */
  async remove(): Promise<void> {
    await this.stack("down", "-v", "--remove-orphans");
    const filters = { label: [`codegen-mcp.deployment=${this.name}`] };
    for (const { Id } of await docker.listContainers({ all: true, filters }))
      await docker.getContainer(Id).remove({ force: true });
    await rm(this.runFolder, { recursive: true, force: true });
    await rm(this.folder, { recursive: true });
  }
}
