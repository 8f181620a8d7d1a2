import { readFileSync } from "node:fs";
import { ConfigError } from "../../shared/config.ts";

/** This project's own, `seccomp.json` beside this file: narrower than Docker's. */
export const OWN_PROFILE = "codegen-mcp";
/** Whatever the engine applies where nothing is named. */
export const DOCKER_DEFAULT = "docker-default";

const OWN_FILE = new URL("./seccomp.json", import.meta.url); // scripts/build puts it there

/**
 * The filter of system calls that every container gets, as the Engine API takes it: JSON. Undefined for the engine's own.
 * @param setting `codegen-mcp`, `docker-default`, or the path of a profile in Docker's format
 * @throws {ConfigError} when it cannot be read or is none: a sandbox is never made with less than was asked for
 */
export const readSeccompProfile = (setting: string): string | undefined => {
  if (setting === DOCKER_DEFAULT) return undefined;
  try {
    const profile = JSON.parse(readFileSync(setting === OWN_PROFILE ? OWN_FILE : setting, "utf8")) as unknown;
    if (typeof (profile as { defaultAction?: unknown } | null)?.defaultAction !== "string")
      throw new Error("it names no defaultAction");
    return JSON.stringify(profile);
  } catch (cause) {
    throw new ConfigError(`SECCOMP_PROFILE: "${setting}" is no seccomp profile: ${(cause as Error).message}`, {
      cause,
    });
  }
};
