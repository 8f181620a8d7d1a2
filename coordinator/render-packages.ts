type Structured = Record<string, unknown>;

const STATUS: Record<string, string> = {
  installed: "installed",
  partly_installed: "only some were installed",
  failed: "nothing was installed",
  timed_out: "took too long and was killed",
  killed: "was killed",
};
const listOf = (value: unknown): Structured[] => (Array.isArray(value) ? (value as Structured[]) : []);

/** What a model reads of an installation. */
export const renderPackages = (r: Structured): string => {
  const installed = listOf(r.installed).map(({ name, version }) => `\n${name} ${version}`);
  const failed = listOf(r.failed).map(({ name, reason }) => `\nfailed: ${name}: ${reason}`);
  return `${r.manager}: ${STATUS[String(r.status)] ?? r.status}${[...installed, ...failed].join("")}`;
};
