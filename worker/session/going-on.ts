import { closeSession, createSession, findTool, killProcess, runCommand } from "../../shared/catalog/index.ts";
import { ToolFailure } from "../../shared/failure.ts";

/** They find what an earlier owner of the session began, or may be done a second time. */
const REPEATABLE = new Set<string>([createSession.name, closeSession.name, killProcess.name, runCommand.name]);

/** Whether a call that an earlier owner of the session started can go on here, in the same container. */
export const canGoOn = (tool: string): boolean => REPEATABLE.has(tool) || findTool(tool)?.mutates === false;

export const outcomeUnknown = (): ToolFailure =>
  new ToolFailure("OUTCOME_UNKNOWN", "The call had started when its worker ended; whether it took effect is unknown", {
    hint: "Look at what it should have changed before you repeat it.",
  });
