import { z } from "zod";
import type { Tool } from "./tool.ts";
import type { ObjectSchema } from "./wire-schema.ts";

/**
 * The fixture tools that the MCP conformance suite asks of a server, offered under `CONFORMANCE_FIXTURES` only. The worker
 * runs them, so that their progress, logs and content take the way of every other call.
 */
export const CONFORMANCE_WAIT_MS = 50_000;

const NO_ARGUMENTS: ObjectSchema = { type: "object", properties: {} };

/** As the suite spells it. */
const SCHEMA_2020_12: ObjectSchema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  $defs: {
    address: {
      $anchor: "addressDef",
      type: "object",
      properties: { street: { type: "string" }, city: { type: "string" } },
    },
  },
  properties: {
    name: { type: "string" },
    address: { $ref: "#/$defs/address" },
    contactMethod: { type: "string", enum: ["phone", "email"] },
    phone: { type: "string" },
    email: { type: "string" },
  },
  allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
  if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
  // biome-ignore lint/suspicious/noThenProperty: JSON Schema calls it so
  then: { required: ["phone"] },
  else: { required: ["email"] },
  additionalProperties: false,
};

const SCHEMAS: Record<string, ObjectSchema> = {
  json_schema_2020_12_tool: SCHEMA_2020_12,
  test_header_parameter: {
    type: "object",
    properties: { region: { type: "string", "x-mcp-header": "Region" } },
    required: ["region"],
  },
};

const NAMES = [
  "test_simple_text",
  "test_image_content",
  "test_audio_content",
  "test_embedded_resource",
  "test_multiple_content_types",
  "test_tool_with_logging",
  "test_logging_tool",
  "test_tool_with_progress",
  "test_error_handling",
  "test_reconnection",
  "test_missing_capability",
  "test_streaming_elicitation",
  "test_trigger_tool_change",
  "test_input_required_result_elicitation",
  "test_input_required_result_sampling",
  "test_input_required_result_list_roots",
  "test_input_required_result_request_state",
  "test_input_required_result_multiple_inputs",
  "test_input_required_result_multi_round",
  "test_input_required_result_tampered_state",
  "test_input_required_result_capabilities",
  ...Object.keys(SCHEMAS),
];

export const conformanceTools: readonly Tool[] = NAMES.map((name) => ({
  name,
  title: name,
  description: `A fixture of the MCP conformance suite: it does what the suite's description of ${name} asks for.`,
  class: "lane",
  toolset: "conformance",
  mutates: false,
  destructive: false,
  idempotent: true,
  input: z.looseObject({}),
  output: z.object({}),
  schema: SCHEMAS[name] ?? NO_ARGUMENTS,
}));
