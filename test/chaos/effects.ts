import type Docker from "dockerode";
import { execIn } from "../support/exec-in.ts";
import type { SessionLedger } from "./ledger.ts";
import { EFFECTS_FILE } from "./scripted-session.ts";

/** What was found, by what it breaks; each entry says where. */
export interface EffectFindings {
  twice: string[];
  missing: string[];
  foreign: string[];
}

/** Reads a session's effects from outside, by `docker exec`: not by the way that made them. */
export const readEffects = async (container: Docker.Container): Promise<string[]> => {
  const output = await execIn(container, `cat ${EFFECTS_FILE} notes/* 2>/dev/null`);
  return output.split("\n").filter((line) => line !== "");
};

/** Holds what a session's files show against what its client was told. */
export const compareEffects = (ledger: SessionLedger, lines: readonly string[]): EffectFindings => {
  const counts = new Map<string, number>();
  for (const line of lines) counts.set(line, (counts.get(line) ?? 0) + 1);
  const lineOf = (number: number): string => `${ledger.token} ${number}`;
  const asked = new Set(ledger.effects.map(({ number }) => lineOf(number)));
  return {
    twice: [...counts].filter(([, count]) => count > 1).map(([line, count]) => `"${line}" ${count} times`),
    missing: ledger.acknowledged
      .filter(({ number, isExcused }) => !isExcused && !counts.has(lineOf(number)))
      .map(({ number, tool }) => `"${lineOf(number)}" (${tool}, durability ${ledger.durability ?? "not offered"})`),
    foreign: [...counts.keys()].filter((line) => !asked.has(line)).map((line) => `"${line}" with ${ledger.token}`),
  };
};
