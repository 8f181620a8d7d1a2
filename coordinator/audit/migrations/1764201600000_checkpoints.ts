import type { MigrationBuilder } from "node-pg-migrate";

export const up = (pgm: MigrationBuilder): void => {
  pgm.createTable("checkpoints", {
    id: { type: "text", primaryKey: true },
    principal: { type: "text", notNull: true },
    session: { type: "text", notNull: true },
    name: { type: "text", notNull: true },
    created_at: { type: "timestamptz", notNull: true },
    space: { type: "text", notNull: true },
    record: { type: "jsonb", notNull: true },
  });
  pgm.createIndex("checkpoints", ["principal", "created_at"]);
  pgm.createIndex("checkpoints", "session");
};

export const down = (pgm: MigrationBuilder): void => {
  pgm.dropTable("checkpoints");
};
