import type pg from "pg";
import type { CheckpointRecord } from "../../shared/checkpoint-record.ts";
import type { SessionRecord } from "../../shared/session-record.ts";

/**
 * Which objects make a checkpoint, in Postgres: with that a store's bytes are files again although the Redis that knew them
 * lost everything. `space` is the part of the store that they stand in, named by that Redis.
 */
export class KeptCheckpoints {
  constructor(private readonly pool: pg.Pool) {}

  /** All that a session has now. One that is closed has no more of them, and those that outlive it go by other ways. */
  async save({ id, state }: SessionRecord, checkpoints: readonly CheckpointRecord[], space: string): Promise<void> {
    const ids = checkpoints.map((one) => one.id);
    if (state !== "closed")
      await this.pool.query(`DELETE FROM checkpoints WHERE session = $1 AND NOT id = ANY($2)`, [id, ids]);
    if (ids.length === 0) return;
    const { rows } = await this.pool.query<{ id: string }>(`SELECT id FROM checkpoints WHERE id = ANY($1)`, [ids]);
    const known = new Set(rows.map((row) => row.id));
    for (const record of checkpoints.filter((one) => !known.has(one.id)))
      await this.pool.query(
        `INSERT INTO checkpoints (id, principal, session, name, created_at, space, record)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING`,
        [record.id, record.principal, id, record.name, new Date(record.createdAt), space, JSON.stringify(record)],
      );
  }

  /** Those that stand in another space, the newest first; of one id, of one session, or all of the principal's. */
  async elsewhere(
    principal: string,
    space: string,
    of: { id?: string; session?: string | undefined; limit: number },
  ): Promise<CheckpointRecord[]> {
    const { rows } = await this.pool.query<{ space: string; record: CheckpointRecord }>(
      `SELECT space, record FROM checkpoints WHERE principal = $1 AND space <> $2
         AND ($3::text IS NULL OR id = $3) AND ($4::text IS NULL OR session = $4) ORDER BY created_at DESC, id LIMIT $5`,
      [principal, space, of.id ?? null, of.session ?? null, of.limit],
    );
    return rows.map((row) => ({ ...row.record, space: row.space }));
  }

  /** @returns false when there is none of this principal */
  async delete(principal: string, id: string): Promise<boolean> {
    const { rowCount } = await this.pool.query(`DELETE FROM checkpoints WHERE principal = $1 AND id = $2`, [
      principal,
      id,
    ]);
    return rowCount === 1;
  }

  /** Automatic ones go a day after their session, as their objects do; named ones stay until somebody deletes them. */
  async removeBefore(time: Date): Promise<void> {
    await this.pool.query(
      `DELETE FROM checkpoints USING sessions WHERE checkpoints.session = sessions.id AND checkpoints.name = ''
         AND sessions.closed_at < now() - interval '1 day'`,
    );
    await this.pool.query(`DELETE FROM checkpoints WHERE name = '' AND created_at < $1`, [time]);
  }
}
