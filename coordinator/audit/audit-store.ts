import { fileURLToPath } from "node:url";
import { runner } from "node-pg-migrate";
import pg from "pg";
import type { Logger } from "pino";
import type { CheckpointRecord } from "../../shared/checkpoint-record.ts";
import type { SessionRecord } from "../../shared/session-record.ts";
import type { AuditEntry } from "./audit-entry.ts";
import { KeptCheckpoints } from "./kept-checkpoints.ts";

const MIGRATIONS = fileURLToPath(new URL("./migrations", import.meta.url));
const CONNECTIONS = 2;
const CONNECT_MS = 5_000;
/** A statement that takes longer is given up: whoever asked goes on without. */
const STATEMENT_MS = 10_000;

/** A session as Postgres remembers it. */
export interface KeptSession {
  id: string;
  image: string;
  createdAt: Date;
  lastUsedAt: Date;
  expiresAt: Date;
  checkpoints: string[];
  /** Undefined while it was open when it was seen last. */
  closedAt: Date | undefined;
}

/** The audit, and what sessions there were, in Postgres. Every statement may be repeated. */
export class AuditStore {
  readonly checkpoints: KeptCheckpoints;
  readonly #pool: pg.Pool;
  #isMigrated = false;

  constructor(
    private readonly url: string,
    private readonly log: Logger,
  ) {
    this.#pool = new pg.Pool({
      connectionString: url,
      max: CONNECTIONS,
      connectionTimeoutMillis: CONNECT_MS,
      statement_timeout: STATEMENT_MS,
      query_timeout: STATEMENT_MS,
      application_name: "codegen-mcp",
    });
    this.checkpoints = new KeptCheckpoints(this.#pool);
    this.#pool.on("error", (err) => log.debug({ err }, "an idle connection to Postgres ended"));
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  /** Brings the tables to this version's form, once. Replicas that begin together wait for each other. */
  async migrate(): Promise<void> {
    if (this.#isMigrated) return;
    const client = new pg.Client({ connectionString: this.url, connectionTimeoutMillis: CONNECT_MS });
    client.on("error", (err) => this.log.debug({ err }, "the connection to Postgres ended"));
    await client.connect();
    try {
      await runner({
        dbClient: client,
        dir: MIGRATIONS,
        direction: "up",
        migrationsTable: "codegen_migrations",
        ignorePattern: ".*\\.map",
        log: (line: string) => this.log.debug({ line }, "migration"),
      });
      this.#isMigrated = true;
    } finally {
      await client.end();
    }
  }

  async addCalls(entries: readonly AuditEntry[]): Promise<void> {
    const rows = entries.map((entry) => ({
      ...entry,
      principal: entry.principal.replaceAll("\0", "\ufffd"), // which Postgres has no place for
      submittedAt: new Date(entry.submittedAt),
      startedAt: entry.startedAt === null ? null : new Date(entry.startedAt),
      endedAt: new Date(entry.endedAt),
    }));
    await this.#pool.query(
      `INSERT INTO audit_calls (id, principal, session, tool, arguments_hash, state, outcome, exit_code, output_bytes,
         worker, submitted_at, started_at, ended_at)
       SELECT id, principal, session, tool, "argumentsHash", state, outcome, "exitCode", "outputBytes", worker,
         "submittedAt", "startedAt", "endedAt"
       FROM jsonb_to_recordset($1::jsonb) AS entry (id text, principal text, session text, tool text,
         "argumentsHash" text, state text, outcome text, "exitCode" integer, "outputBytes" bigint, worker text,
         "submittedAt" timestamptz, "startedAt" timestamptz, "endedAt" timestamptz)
       ON CONFLICT (id) DO NOTHING`,
      [JSON.stringify(rows)],
    );
  }

  /** Calls of a session, or all of the principal's; the newest first. Not what was asked and made no call. */
  async calls(principal: string, session: string | undefined, limit: number): Promise<AuditEntry[]> {
    const { rows } = await this.#pool.query(
      `SELECT * FROM audit_calls WHERE principal = $1 ${session === undefined ? "" : "AND session = $3"}
         AND id LIKE 'call\\_%' ORDER BY submitted_at DESC, id LIMIT $2`,
      [principal, limit, ...(session === undefined ? [] : [session])],
    );
    return rows.map(toEntry);
  }

  /** @param space of the store, which the Redis that knows the session names */
  async saveSession(session: SessionRecord, checkpoints: readonly CheckpointRecord[], space: string): Promise<void> {
    const { id, principal, image, createdAt, lastUsedAt, expiresAt, state } = session;
    await this.#pool.query(
      `INSERT INTO sessions (id, principal, image, created_at, last_used_at, expires_at, checkpoints, closed_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, CASE WHEN $8 THEN now() END)
       ON CONFLICT (id) DO UPDATE SET image = excluded.image, last_used_at = excluded.last_used_at,
         expires_at = excluded.expires_at, checkpoints = excluded.checkpoints,
         closed_at = coalesce(sessions.closed_at, excluded.closed_at)`,
      [
        id,
        principal,
        image,
        ...[createdAt, lastUsedAt, expiresAt].map((ms) => new Date(ms)),
        checkpoints.map((one) => one.id),
        state === "closed",
      ],
    );
    await this.checkpoints.save(session, checkpoints, space);
  }

  async closeSession(id: string): Promise<void> {
    await this.#pool.query(`UPDATE sessions SET closed_at = coalesce(closed_at, now()) WHERE id = $1`, [id]);
  }

  async session(principal: string, id: string): Promise<KeptSession | undefined> {
    const { rows } = await this.#pool.query(`SELECT * FROM sessions WHERE principal = $1 AND id = $2`, [principal, id]);
    return rows.map(toSession)[0];
  }

  /** That were open when they were seen last, the newest first. */
  async openSessions(principal: string, limit: number): Promise<KeptSession[]> {
    const { rows } = await this.#pool.query(
      `SELECT * FROM sessions WHERE principal = $1 AND closed_at IS NULL ORDER BY created_at DESC LIMIT $2`,
      [principal, limit],
    );
    return rows.map(toSession);
  }

  /** @returns how many calls were removed */
  async removeBefore(time: Date): Promise<number> {
    const { rowCount } = await this.#pool.query(`DELETE FROM audit_calls WHERE ended_at < $1`, [time]);
    await this.checkpoints.removeBefore(time);
    await this.#pool.query(`DELETE FROM sessions WHERE coalesce(closed_at, expires_at) < $1`, [time]);
    return rowCount ?? 0;
  }
}

const toEntry = (row: Record<string, never>): AuditEntry => ({
  id: row.id!,
  principal: row.principal!,
  session: row.session!,
  tool: row.tool!,
  argumentsHash: row.arguments_hash!,
  state: row.state!,
  outcome: row.outcome!,
  exitCode: row.exit_code!,
  outputBytes: Number(row.output_bytes),
  worker: row.worker!,
  submittedAt: (row.submitted_at as unknown as Date).getTime(),
  startedAt: (row.started_at as unknown as Date | null)?.getTime() ?? null,
  endedAt: (row.ended_at as unknown as Date).getTime(),
});

const toSession = (row: Record<string, never>): KeptSession => ({
  id: row.id!,
  image: row.image!,
  createdAt: row.created_at!,
  lastUsedAt: row.last_used_at!,
  expiresAt: row.expires_at!,
  checkpoints: row.checkpoints!,
  closedAt: row.closed_at ?? undefined,
});
