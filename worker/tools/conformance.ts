import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { OutputWindow } from "../session/output-window.ts";
import type { CallContext, Executor } from "../session/owned-session.ts";

type Json = Record<string, unknown>;

/** What the coordinator passes on of an MCP request. */
interface Asked {
  input_responses?: Record<string, Json>;
  request_state?: string;
  capabilities?: Record<string, unknown>;
}
/** A whole MCP result, or a JSON-RPC error, as the client is to get it. */
type Said = { mcp: Json } | { error: { code: number; message: string; data?: unknown } };
/** Sends a notification to the client while the call runs. */
type Tell = (method: string, params: Json) => void;
type Fixture = (asked: Asked, tell: Tell) => Said | Promise<Said>;

/** One red pixel, and a header of silence. */
const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
const WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";
const STEP_MS = 50;
const RECONNECTION_MS = 1_000;

const content = (...blocks: Json[]): Said => ({ mcp: { content: blocks, structuredContent: {} } });
const text = (words: string): Json => ({ type: "text", text: words });
const resource = (uri: string, mimeType: string, words: string): Json => ({
  type: "resource",
  resource: { uri, mimeType, text: words },
});

const INVALID_PARAMS = -32_602;
const MISSING_CAPABILITY = -32_021;
const invalid = (message: string): Said => ({ error: { code: INVALID_PARAMS, message } });

const elicit = (message: string, properties: Json): Json => ({
  method: "elicitation/create",
  params: { mode: "form", message, requestedSchema: { type: "object", properties, required: Object.keys(properties) } },
});
const sample = (words: string, maxTokens: number): Json => ({
  method: "sampling/createMessage",
  params: { messages: [{ role: "user", content: text(words) }], maxTokens },
});
const ROOTS: Json = { method: "roots/list", params: {} };
const NAME = elicit("What is your name?", { name: { type: "string" } });

const secret = randomBytes(32);
const sealed = (state: string): string => `${state}.${createHmac("sha256", secret).update(state).digest("base64url")}`;
/** @returns undefined for a state that is not ours */
const opened = (state = ""): string | undefined => {
  const plain = state.slice(0, state.indexOf("."));
  const [is, should] = [Buffer.from(state), Buffer.from(sealed(plain))];
  return is.length === should.length && timingSafeEqual(is, should) ? plain : undefined;
};

const require = (inputRequests: Json, state?: string): Said => ({
  mcp: { resultType: "input_required", inputRequests, ...(state ? { requestState: sealed(state) } : {}) },
});
/** Asks for these inputs until all of them are there. */
const asking =
  (inputRequests: Record<string, Json>, state?: string): Fixture =>
  ({ input_responses: responses = {}, request_state }) => {
    if (!Object.keys(inputRequests).every((key) => typeof responses[key] === "object" && responses[key])) {
      return require(inputRequests, state);
    }
    if (state && opened(request_state) !== state) return invalid("requestState fails its integrity check");
    return content(text(`${state ? "state-ok " : ""}${JSON.stringify(responses)}`));
  };

const log = async (tell: Tell, ...words: string[]): Promise<void> => {
  for (const data of words) {
    tell("notifications/message", { level: "info", data });
    await sleep(STEP_MS);
  }
};

const FIXTURES: Record<string, Fixture> = {
  test_simple_text: () => content(text("This is a simple text response for testing.")),
  test_image_content: () => content({ type: "image", data: PNG, mimeType: "image/png" }),
  test_audio_content: () => content({ type: "audio", data: WAV, mimeType: "audio/wav" }),
  test_embedded_resource: () =>
    content(resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")),
  test_multiple_content_types: () =>
    content(
      text("Multiple content types test:"),
      { type: "image", data: PNG, mimeType: "image/png" },
      resource("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
    ),
  test_tool_with_logging: async (_, tell) => {
    await log(tell, "Tool execution started", "Tool processing data", "Tool execution completed");
    return content(text("Three messages were logged."));
  },
  test_logging_tool: async (_, tell) => {
    await log(tell, "A message for whoever asked for messages");
    return content(text("One message was logged."));
  },
  test_tool_with_progress: async (_, tell) => {
    for (const progress of [0, 50, 100]) {
      tell("notifications/progress", { progress, total: 100 });
      await sleep(STEP_MS);
    }
    return content(text("Progress was told three times."));
  },
  test_error_handling: () => ({
    mcp: { content: [text("This tool intentionally returns an error for testing")], isError: true },
  }),
  test_reconnection: async () => {
    await sleep(RECONNECTION_MS); // meanwhile the coordinator has closed the stream, and the client comes back
    return content(text("The stream was closed while this ran, and resumed."));
  },
  test_missing_capability: ({ capabilities }) =>
    capabilities?.sampling
      ? content(text("The client can sample."))
      : {
          error: {
            code: MISSING_CAPABILITY,
            message: "This tool needs a client that can sample",
            data: { requiredCapabilities: { sampling: {} } },
          },
        },
  test_trigger_tool_change: () => content(text("Whoever listens is told so.")),
  test_streaming_elicitation: asking({ user_name: NAME }),
  test_input_required_result_elicitation: asking({ user_name: NAME }),
  test_input_required_result_sampling: asking({ capital_question: sample("What is the capital of France?", 100) }),
  test_input_required_result_list_roots: asking({ client_roots: ROOTS }),
  test_input_required_result_request_state: asking(
    { confirm: elicit("Please confirm", { ok: { type: "boolean" } }) },
    "confirm",
  ),
  test_input_required_result_multiple_inputs: asking(
    { user_name: NAME, greeting: sample("Generate a greeting", 50), client_roots: ROOTS },
    "multiple",
  ),
  test_input_required_result_tampered_state: asking(
    { confirm: elicit("Please confirm", { ok: { type: "boolean" } }) },
    "tampered",
  ),
  test_input_required_result_multi_round: ({ input_responses: { step1, step2 } = {}, request_state }) => {
    const round = opened(request_state);
    if (request_state && !round) return invalid("requestState fails its integrity check");
    if (round === "round-2" && step2) return content(text("Both rounds were answered."));
    return step1 || round === "round-2"
      ? require({ step2: elicit("Step 2: What is your favorite color?", { color: { type: "string" } }) }, "round-2")
      : require({ step1: elicit("Step 1: What is your name?", { name: { type: "string" } }) }, "round-1");
  },
  test_input_required_result_capabilities: ({ capabilities = {}, input_responses: responses }) => {
    if (responses && Object.keys(responses).length > 0) return content(text("Answered."));
    const requests: Json = {
      ...(capabilities.elicitation ? { user_name: NAME } : {}),
      ...(capabilities.sampling ? { greeting: sample("Generate a greeting", 50) } : {}),
      ...(capabilities.roots ? { client_roots: ROOTS } : {}),
    };
    return Object.keys(requests).length > 0 ? require(requests) : content(text("The client can give no input."));
  },
  test_header_parameter: () => content(text("The header is what the argument is.")),
  json_schema_2020_12_tool: () => content(text("Its schema is what matters.")),
};

/** Fixtures tell what they have to tell as output: each chunk is one notification. */
const executorOf =
  (fixture: Fixture): Executor =>
  async (args, { callId, workspace }: CallContext) => {
    const windows = { stdout: new OutputWindow(1_000), stderr: new OutputWindow(1_000) };
    const recorder = workspace.recorder(callId, windows, () => {});
    let offset = 0;
    return await fixture(args as Asked, (method, params) => {
      const data = Buffer.from(JSON.stringify({ method, params }));
      recorder.output(offset, false, data);
      offset += data.length;
    });
  };

/** See `shared/catalog/conformance.ts`. */
export const conformanceExecutors: ReadonlyMap<string, Executor> = new Map(
  Object.entries(FIXTURES).map(([name, fixture]) => [name, executorOf(fixture)]),
);
