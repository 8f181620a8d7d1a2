import type { ToolFailure } from "../shared/failure.ts";
import { render } from "./render.ts";

type Structured = Record<string, unknown>;

/** A tool's answer as MCP carries it. */
export interface ToolResult {
  [key: string]: unknown;
  content: (
    | { type: "text"; text: string }
    | { type: "image"; data: string; mimeType: string }
    | { type: "resource_link"; uri: string; name: string; mimeType: string }
  )[];
  structuredContent: Structured;
  isError?: boolean;
}

export const textAnswer = (text: string, structuredContent: Structured): ToolResult => ({
  content: [{ type: "text", text }],
  structuredContent,
});

/** @param tool its name */
export const answer = (tool: string, result: Structured): ToolResult => {
  if (tool === "read_file" && String(result.mime).startsWith("image/") && typeof result.content === "string") {
    const { content, ...structuredContent } = result;
    return { content: [{ type: "image", data: content, mimeType: String(result.mime) }], structuredContent };
  }
  const told = textAnswer(render(tool, result), result);
  if (tool !== "get_artifact" || typeof result.url !== "string") return told;
  const link = {
    type: "resource_link",
    uri: result.url,
    name: String(result.path),
    mimeType: String(result.mime),
  } as const;
  return { ...told, content: [...told.content, link] };
};

export const failed = (failure: ToolFailure): ToolResult => {
  const text = `${failure.code}: ${failure.message}${failure.hint ? ` ${failure.hint}` : ""}`;
  return { ...textAnswer(text, { ...failure.toRecord() }), isError: true };
};
