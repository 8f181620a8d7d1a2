/** What one look at the machine says. */
export interface Finding {
  /** Two or three words that stand for the check. */
  check: string;
  /** `note`: works, but an operator should know. */
  verdict: "ok" | "note" | "wrong";
  /** What was seen. */
  seen: string;
  /** A command, or a setting, that mends what is wrong. */
  mend?: string;
}

export const ok = (check: string, seen: string): Finding => ({ check, verdict: "ok", seen });
export const note = (check: string, seen: string, mend: string): Finding => ({ check, verdict: "note", seen, mend });
export const wrong = (check: string, seen: string, mend: string): Finding => ({ check, verdict: "wrong", seen, mend });

const SIGNS = { ok: "ok", note: "note", wrong: "WRONG" };

/** One screen: a line a finding, what mends it below, and how many are wrong. */
export const report = (findings: Finding[]): string => {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.flatMap(({ check, verdict, seen, mend }) => [
    `${SIGNS[verdict].padEnd(6)} ${check.padEnd(width)}  ${seen}`,
    ...(mend ? [`${"".padEnd(6)} ${"".padEnd(width)}  → ${mend}`] : []),
  ]);
  const count = findings.filter(({ verdict }) => verdict === "wrong").length;
  const sum = count === 0 ? "Nothing is wrong." : `${count} ${count === 1 ? "thing is" : "things are"} wrong.`;
  return [...lines, "", sum].join("\n");
};
