import { setTimeout as sleep } from "node:timers/promises";
import { type DiagLogger, DiagLogLevel, diag } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, ConsoleSpanExporter, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import type { Logger } from "pino";
import { ConfigError } from "../config.ts";
import { VERSION } from "../version.ts";

/** How long a stop waits for a collector. */
const LAST_SPANS_MS = 2_000;
/** A collector that is away is told of so often, however many spans are lost. */
const COMPLAIN_EVERY_MS = 60_000;
const MAX_COMPLAINT = 300;

/**
 * Spans go out in batches, over OTLP/HTTP with Protobuf; 2,048 wait at most (`OTEL_BSP_MAX_QUEUE_SIZE`), further ones are
 * dropped: a collector that is away or slow costs no call anything.
 */
export const startSdk = (exporter: string, part: string, log: Logger): (() => Promise<void>) => {
  if (exporter !== "otlp" && exporter !== "console")
    throw new ConfigError(`These settings are malformed:\n  OTEL_TRACES_EXPORTER: must be otlp, console or none`);
  diag.setLogger(complaints(log), DiagLogLevel.WARN);
  const own = resourceFromAttributes({ "service.name": `codegen-mcp-${part}`, "service.version": VERSION });
  const resource = defaultResource()
    .merge(own)
    .merge(detectResources({ detectors: [envDetector] })); // OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES
  const spanExporter = exporter === "console" ? new ConsoleSpanExporter() : new OTLPTraceExporter();
  const provider = new NodeTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(spanExporter)] });
  provider.register();
  log.info({ exporter }, "spans are collected");
  return async () => {
    const ended = provider.shutdown().catch(() => {}); // it has complained
    await Promise.race([ended, sleep(LAST_SPANS_MS, undefined, { ref: false })]);
  };
};

/** The SDK's own complaints, one a minute: it has one for each batch. */
const complaints = (log: Logger): DiagLogger => {
  let saidAt = Number.NEGATIVE_INFINITY;
  const complain = (message: string): void => {
    if (performance.now() - saidAt < COMPLAIN_EVERY_MS) return;
    saidAt = performance.now();
    log.warn({ why: /"message":"([^"]*)"/.exec(message)?.[1] ?? message.slice(0, MAX_COMPLAINT) }, "spans were lost");
  };
  const silent = (): void => {};
  return { error: complain, warn: complain, info: silent, debug: silent, verbose: silent };
};
