import fc from "fast-check";
import { findTool, tools } from "../../shared/catalog/index.ts";
import { type Call, expectTyped, FuzzSession } from "../support/fuzz-session.ts";
import { junkArguments, validArguments } from "../support/fuzzed-arguments.ts";
import { InProcessStack } from "../support/in-process-stack.ts";
import { PromptKitClient } from "../support/promptkit-client.ts";
import { connectModern, type ToolClient, toAnswer } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";

/** Quick by default; `npm run test:tools` makes 1,000 a tool in process, and 50 over the wire. */
const RUNS = Number(process.env.FUZZ_RUNS ?? 25);
const WIRE_RUNS = Number(process.env.FUZZ_WIRE_RUNS ?? 5);
/** A call that answers later than this hangs: no fuzzed one waits or runs as long. */
const HANGS_MS = 90_000;
/** Of valid calls to one tool; past both each is made invalid, so that slow tools get as many runs as the others. */
const BUDGET_MS = 8_000;
const BUDGET_CALLS = 20;

/** One `it` for each tool of the catalog, whoever added it. */
const fuzz = (runs: number, call: Call): void => {
  const session = new FuzzSession(call);
  for (const tool of tools) {
    it(`of ${tool.name} get an answer of a known kind`, async function () {
      this.timeout(runs * 500 + 200_000);
      await session.ready();
      let [validMs, executed] = [0, 0];
      const one = async (args: unknown): Promise<void> => {
        const isValid = tool.input.safeParse(args).success;
        const isSpared = isValid && validMs > BUDGET_MS && executed >= BUDGET_CALLS;
        const startedAt = performance.now();
        const answer = await call(tool.name, isSpared ? { ...(args as object), surplus: 1 } : args);
        expectTyped(tool, answer);
        if (!isValid || isSpared) return;
        validMs += performance.now() - startedAt;
        executed++;
        if (!answer.isError && tool.name !== "close_session") await session.closeMade(answer.structured);
      };
      const args = fc.oneof(validArguments(tool, session.pools), junkArguments(tool, session.pools));
      await fc.assert(fc.asyncProperty(args, one), { numRuns: runs, endOnFailure: true });
      console.log(`      ${runs} calls, ${executed} of them executed`);
    });
  }
};

const withDeadline = async <T>(what: string, work: Promise<T>): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const hangs = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} does not answer`)), HANGS_MS);
  });
  return await Promise.race([work, hangs]).finally(() => clearTimeout(timer));
};

describe("Any arguments, in process,", () => {
  let stack: InProcessStack;
  before(async function () {
    this.timeout(90_000);
    stack = await InProcessStack.start();
  });
  after(async function () {
    this.timeout(90_000);
    await stack?.stop();
  });

  fuzz(RUNS, async (name, args) => {
    const tool = findTool(name);
    if (!tool) throw new Error(`there is no tool ${name}`);
    const caller = { principal: "fuzz", receivedAt: performance.now() };
    const none = { signal: undefined, progress: undefined, mcpSession: undefined };
    const answer = await withDeadline(name, stack.coordinator.tools.call(tool, args, { ...caller, ...none }));
    return toAnswer(JSON.parse(JSON.stringify(answer)));
  });
});

describe("Any arguments, over the wire,", () => {
  const cluster = useCluster();
  const clients: ToolClient[] = [];
  let calls = 0;
  before(async () => {
    const modern = await connectModern(`${cluster.url}?toolset=full,codegen-mcp`);
    clients.push(modern, await PromptKitClient.connect(`${cluster.url}?toolset=full,codegen-mcp`));
  });
  cluster.beforeStop(() => Promise.all(clients.map((client) => client.close())));

  fuzz(WIRE_RUNS, async (name, args) => {
    const client = clients[calls++ % clients.length] as ToolClient;
    // MCP itself has arguments that are no object refused, as a JSON-RPC error.
    const isObject = args === undefined || (typeof args === "object" && args !== null && !Array.isArray(args));
    return await withDeadline(
      name,
      client.call(name, (isObject ? args : { surplus: args }) as Record<string, unknown>),
    );
  });
});
