import {
  closeSession,
  createSession,
  findTool,
  installPackages,
  killProcess,
  runCode,
  runCommand,
  runTests,
} from "../../shared/catalog/index.ts";
import { ToolFailure } from "../../shared/failure.ts";

/** They may be done a second time. */
const REPEATABLE = [createSession, closeSession, killProcess];
/** All that they change is done by their process, which they find instead of starting it. */
const RESUMABLE = [runCommand, runCode, runTests, installPackages];
const GOING_ON = new Set<string>([...REPEATABLE, ...RESUMABLE].map(({ name }) => name));

/** Whether a call that an earlier owner of the session started can go on here, in the same container. */
export const canGoOn = (tool: string): boolean => GOING_ON.has(tool) || findTool(tool)?.mutates === false;

export const outcomeUnknown = (): ToolFailure =>
  new ToolFailure("OUTCOME_UNKNOWN", "The call had started when its worker ended; whether it took effect is unknown", {
    hint: "Look at what it should have changed before you repeat it.",
  });
