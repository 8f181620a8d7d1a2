import type { MigrationBuilder } from "node-pg-migrate";

export const up = (pgm: MigrationBuilder): void => {
  pgm.createTable("audit_calls", {
    id: { type: "text", primaryKey: true },
    principal: { type: "text", notNull: true },
    session: { type: "text", notNull: true },
    tool: { type: "text", notNull: true },
    arguments_hash: { type: "text", notNull: true },
    state: { type: "text", notNull: true },
    outcome: { type: "text", notNull: true },
    exit_code: { type: "integer" },
    output_bytes: { type: "bigint", notNull: true },
    worker: { type: "text", notNull: true },
    submitted_at: { type: "timestamptz", notNull: true },
    started_at: { type: "timestamptz" },
    ended_at: { type: "timestamptz", notNull: true },
  });
  pgm.createIndex("audit_calls", ["principal", "session", "submitted_at"]);
  pgm.createIndex("audit_calls", "ended_at");
  pgm.createTable("sessions", {
    id: { type: "text", primaryKey: true },
    principal: { type: "text", notNull: true },
    image: { type: "text", notNull: true },
    created_at: { type: "timestamptz", notNull: true },
    last_used_at: { type: "timestamptz", notNull: true },
    expires_at: { type: "timestamptz", notNull: true },
    checkpoints: { type: "text[]", notNull: true },
    closed_at: { type: "timestamptz" },
  });
  pgm.createIndex("sessions", ["principal", "created_at"]);
};

export const down = (pgm: MigrationBuilder): void => {
  pgm.dropTable("audit_calls");
  pgm.dropTable("sessions");
};
