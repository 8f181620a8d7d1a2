import type { Logger } from "pino";

/** What tells that spans are wanted; the SDK reads these, and more, by itself. */
const ENDPOINTS = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];

/**
 * Collects spans if OpenTelemetry's standard variables ask for it; else its SDK is not even loaded.
 * @returns what ends it: sends what was not sent yet, for a moment
 */
export const startTracing = async (
  env: NodeJS.ProcessEnv,
  part: "coordinator" | "worker",
  log: Logger,
): Promise<() => Promise<void>> => {
  const exporter = env.OTEL_TRACES_EXPORTER ?? "";
  const isWanted = exporter !== "" || ENDPOINTS.some((name) => env[name]);
  if (!isWanted || exporter === "none" || env.OTEL_SDK_DISABLED?.toLowerCase() === "true") return async () => {};
  const { startSdk } = await import("./otel-sdk.ts");
  return startSdk(exporter || "otlp", part, log);
};
