import { execFileSync } from "node:child_process";
import { chownSync, existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { ManagedProcess } from "../../compose/embedded/managed-process.ts";
import { freePort } from "../../compose/embedded/private-redis.ts";

const START_MS = 60_000;
const STOP_MS = 20_000;
const ROOT = "/usr/lib/postgresql";
/** Debian's user of the server, which refuses to run as root. */
const USER = "postgres";

/** A PostgreSQL of our own, on a free loopback port, with its data in a folder of the test's. */
export class PostgresServer {
  #process: ManagedProcess | undefined;

  private constructor(
    private readonly folder: string,
    private readonly port: number,
  ) {}

  static async start(folder: string): Promise<PostgresServer> {
    mkdirSync(folder, { recursive: true });
    if (isRoot()) chownSync(folder, idOf("-u"), idOf("-g"));
    const server = new PostgresServer(folder, await freePort());
    const options = ["-D", join(folder, "data"), "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync"];
    const [command, ...args] = asOther([program("initdb"), ...options]);
    execFileSync(command!, args, { stdio: "pipe", cwd: "/" });
    await server.again();
    return server;
  }

  get url(): string {
    return `postgres://${USER}@127.0.0.1:${this.port}/postgres`;
  }

  /** Starts it, also after `stop`, on the same port and data. */
  async again(): Promise<void> {
    const settings = ["-k", this.folder, "-h", "127.0.0.1", "-p", String(this.port), "-F"];
    const [command, ...args] = asOther([program("postgres"), "-D", join(this.folder, "data"), ...settings]);
    this.#process = new ManagedProcess("postgres", command!, args, { logFile: `${this.folder}.log` });
    await this.#process.line(/database system is ready to accept connections/, START_MS);
  }

  /** Whoever is connected is cut off. */
  async stop(): Promise<void> {
    await this.#process?.stop(STOP_MS, "SIGINT");
  }

  async query<Row extends pg.QueryResultRow>(sql: string, values: unknown[] = []): Promise<Row[]> {
    const client = new pg.Client({ connectionString: this.url });
    await client.connect();
    try {
      return (await client.query<Row>(sql, values)).rows;
    } finally {
      await client.end();
    }
  }
}

const isRoot = (): boolean => process.getuid?.() === 0;
const idOf = (which: "-u" | "-g"): number => Number(execFileSync("id", [which, USER], { encoding: "utf8" }));
const asOther = (command: string[]): string[] =>
  isRoot() ? ["setpriv", `--reuid=${USER}`, `--regid=${USER}`, "--clear-groups", "--", ...command] : command;

/** Debian keeps a server's programs outside of PATH, in a folder of its version. */
const program = (name: string): string => {
  const versions = existsSync(ROOT) ? readdirSync(ROOT).toSorted((a, b) => Number(b) - Number(a)) : [];
  const found = versions.map((version) => join(ROOT, version, "bin", name)).find((path) => existsSync(path));
  return found ?? name;
};
