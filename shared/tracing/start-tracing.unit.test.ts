import { execFileSync } from "node:child_process";
import { expect } from "chai";

/** How much of OpenTelemetry's SDK a process has loaded once it started its tracing with these settings. */
const loaded = (env: Record<string, string>): number => {
  const script = `
    import { createRequire } from "node:module";
    import { pino } from "pino";
    import { startTracing } from "${new URL("./start-tracing.js", import.meta.url)}";
    const stop = await startTracing(process.env, "worker", pino({ level: "silent" }));
    const files = Object.keys(createRequire("${import.meta.url}").cache);
    console.log(files.filter((file) => /@opentelemetry.(sdk|otlp|exporter)/.test(file)).length);
    await stop();`;
  const options = { env: { PATH: process.env.PATH ?? "", ...env }, encoding: "utf8" as const };
  return Number(execFileSync(process.execPath, ["--input-type=module", "-e", script], options));
};

describe("Tracing", () => {
  const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1" };

  it("does not even load its SDK unless the standard variables ask for it", () => {
    expect(loaded({})).to.equal(0);
    expect(loaded({ ...ENDPOINT, OTEL_SDK_DISABLED: "true" })).to.equal(0);
    expect(loaded({ ...ENDPOINT, OTEL_TRACES_EXPORTER: "none" })).to.equal(0);
  });

  it("begins with an endpoint, or an exporter that is named", () => {
    expect(loaded(ENDPOINT)).to.be.above(0);
    expect(loaded({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://127.0.0.1:1/v1/traces" })).to.be.above(0);
    expect(loaded({ OTEL_TRACES_EXPORTER: "console" })).to.be.above(0);
  });
});
