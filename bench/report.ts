import { readFile, writeFile } from "node:fs/promises";
import type { Verdict } from "./bars.ts";
import type { Machine } from "./machine.ts";
import type { Row } from "./sampling.ts";

export interface Report {
  machine: Machine;
  rows: Row[];
}

const BEGIN = "<!-- bench:begin -->";
const END = "<!-- bench:end -->";

const cell = (value: number | null | undefined): string => (value === null || value === undefined ? "" : String(value));
const result = ({ per_second, value, unit }: Row): string =>
  per_second !== undefined ? `${per_second} calls/s` : value !== undefined ? `${value} ${unit}` : "";

export const describe = (machine: Machine): string => {
  const { cores, cpu, memory_gb, kernel, docker, cgroups, storage, redis, node, load } = machine;
  return [
    `${cores} cores (${cpu}), ${memory_gb} GB, ${kernel}`,
    `Docker ${docker} (${storage}, cgroups ${cgroups}), Redis ${redis}, Node.js ${node}`,
    `load before the run ${load}`,
  ].join("; ");
};

/** Rows as a Markdown table, columns aligned so that it also reads well on a terminal. */
export const table = (rows: Row[]): string => {
  const header = ["row", "p50 ms", "p95 ms", "value"];
  const lines = rows.map((row) => [`\`${row.name}\``, cell(row.p50_ms), cell(row.p95_ms), result(row)]);
  return alignTable(header, lines, ["left", "right", "right", "right"]);
};

export const verdictTable = (verdicts: Verdict[]): string => {
  const lines = verdicts.map(({ text, measured, isMet }) => [text, measured, isMet ? "PASS" : "FAIL"]);
  return alignTable(["bar", "measured", ""], lines, ["left", "right", "left"]);
};

/** A Markdown table whose columns also line up on a terminal. */
export const alignTable = (header: string[], lines: string[][], sides: ("left" | "right")[]): string => {
  const widths = header.map((_, i) => Math.max(3, ...[header, ...lines].map((line) => line[i]?.length ?? 0)));
  const pad = (line: string[]): string =>
    `| ${line.map((text, i) => (sides[i] === "right" ? text.padStart(widths[i]!) : text.padEnd(widths[i]!))).join(" | ")} |`;
  const rule = widths.map((width, i) => (sides[i] === "right" ? `${"-".repeat(width - 1)}:` : "-".repeat(width)));
  return [pad(header), pad(rule), ...lines.map(pad)].join("\n");
};

export const writeJson = async (file: string, report: Report): Promise<void> => {
  await writeFile(file, `${JSON.stringify(report, null, 2)}\n`);
};

/** Replaces what stands between the markers in the README. */
export const writeReadme = async (file: string, { machine, rows }: Report, verdicts: Verdict[]): Promise<void> => {
  const text = await readFile(file, "utf8");
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`${file} has no "${BEGIN}" before "${END}"`);
  const measured = [`${BEGIN}\n${describe(machine)}.`, table(rows), verdictTable(verdicts)].join("\n\n");
  await writeFile(file, `${text.slice(0, begin)}${measured}\n\n${text.slice(end)}`);
};
