import type { MigrationBuilder } from "node-pg-migrate";

export const up = (pgm: MigrationBuilder): void => {
  pgm.createIndex("audit_calls", ["principal", "submitted_at"]);
};

export const down = (pgm: MigrationBuilder): void => {
  pgm.dropIndex("audit_calls", ["principal", "submitted_at"]);
};
