import type { PACKAGE_MANAGERS } from "../../shared/catalog/index.ts";
import { ToolFailure } from "../../shared/failure.ts";
import { processIdOf } from "../../shared/ids.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Executor } from "../session/owned-session.ts";
import { describe } from "./describe-process.ts";
import { runScript } from "./foreground.ts";
import { npm } from "./packages/npm.ts";
import { checkedNames, type PackageManager } from "./packages/package-manager.ts";
import { pip } from "./packages/pip.ts";
import { findProject, Project } from "./project/project.ts";
import { ReportFolder } from "./project/report-folder.ts";
import { shellQuoteAll } from "./project/shell-quote.ts";

const TIMEOUT_MS = 600_000;
const OUTPUT_LIMIT = 4_000;
const NOT_INSTALLED = 127;
const MANAGERS = { pip, npm };
/** The key of the attempt to install all at once. */
const ALL = "all";

interface InstallArguments {
  packages: string[];
  manager: (typeof PACKAGE_MANAGERS)[number];
}

/** Installs packages, all at once so that their versions fit together, else one by one. One that fails is a normal result. */
export const installPackages: Executor = async (rawArgs, context) => {
  const args = rawArgs as unknown as InstallArguments;
  const sandbox = await context.workspace.sandbox();
  const specs = [...new Set(args.packages)];
  const manager = await choose(sandbox, args.manager, specs);
  const names = checkedNames(manager, specs);
  if (!sandbox.hasEgress) {
    throw new ToolFailure("NETWORK_DISABLED", "Cannot install packages: this session has no network", {
      hint: 'Make one with create_session and network "egress", where the server allows it.',
    });
  }
  const { project } = await findProject(sandbox, [], async (project) => manager.isUsedBy(project));
  const folder = new ReportFolder(sandbox, context);
  const run = await runScript(context, {
    command: script(manager, folder, specs),
    cwd: project.root,
    timeoutMs: TIMEOUT_MS,
    outputBytes: OUTPUT_LIMIT,
  });
  if (run.end.exitCode === NOT_INSTALLED) {
    throw new ToolFailure("NOT_FOUND", `Cannot run ${manager.name}: ${run.output.split("\n").at(-1)}`, {
      hint: "Make a session of an image that has it (create_session), or name the other manager.",
    });
  }
  const versions = await manager.versions(folder);
  const installed: { name: string; version: string }[] = [];
  const failed: { name: string; reason: string }[] = [];
  for (const [index, spec] of specs.entries()) {
    const name = names.get(spec)!;
    const reason = await whyNot(manager, folder, specs.length === 1 ? ALL : String(index));
    const version = versions.get(name);
    if (reason === undefined && version !== undefined) installed.push({ name, version });
    else failed.push({ name: spec, reason: reason ?? "It is not there, although its installation reported success" });
  }
  const { status, exit_code: _, signal: __, ...rest } = describe(run.end);
  return {
    status: status === "exited" ? overall(installed.length, failed.length) : status,
    manager: manager.name,
    installed,
    failed,
    ...rest,
    process_id: processIdOf(context.callId),
  };
};

const overall = (installed: number, failed: number): string =>
  failed === 0 ? "installed" : installed > 0 ? "partly_installed" : "failed";

/** Each attempt leaves its exit code under its key. */
const script = (manager: PackageManager, folder: ReportFolder, specs: readonly string[]): string => {
  const attempt = (key: string, words: readonly string[]): string =>
    `install ${key} ${shellQuoteAll(words)}; echo $? >"$REPORTS/${key}.code"`;
  const alone = specs.length > 1 ? specs.map((spec, index) => attempt(String(index), [spec])) : [];
  return `${folder.preparation}
${manager.preparation}
${attempt(ALL, specs)}
if [ "$(cat "$REPORTS/${ALL}.code")" != 0 ]; then :
${alone.join("\n")}
fi
list
exit 0`;
};

/** Undefined when it was installed. */
const whyNot = async (manager: PackageManager, folder: ReportFolder, key: string): Promise<string | undefined> => {
  const codeOf = async (of: string): Promise<string> => String((await folder.whole(`${of}.code`)) ?? "").trim();
  if ((await codeOf(ALL)) === "0") return undefined;
  const code = await codeOf(key);
  if (code === "0") return undefined;
  if (code === "") return "It was not done when the call ended";
  return (await manager.reason(folder, key)) || `${manager.name} ended with code ${code}`;
};

/** @throws {ToolFailure} INVALID_ARGUMENT where neither the names nor the project's files tell */
const choose = async (
  sandbox: Sandbox,
  named: InstallArguments["manager"],
  specs: readonly string[],
): Promise<PackageManager> => {
  if (named !== "auto") return MANAGERS[named];
  const asNpm = specs.some((spec) => spec.includes("@"));
  const asPip = specs.some((spec) => /^[^@]*[=<>~![]/.test(spec));
  if (asNpm !== asPip) return asNpm ? npm : pip;
  const project = await Project.open(sandbox, "");
  if (!asNpm && npm.isUsedBy(project) !== pip.isUsedBy(project)) return npm.isUsedBy(project) ? npm : pip;
  if (!asNpm && !npm.isUsedBy(project)) return pip;
  throw new ToolFailure("INVALID_ARGUMENT", "These packages may be meant for pip or for npm", {
    hint: 'Say manager "pip" or "npm", and install packages of the two in calls of their own.',
  });
};
