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

/** A picture in a tool's result, as the worker records it. */
interface Picture {
  mime: string;
  /** Base64. */
  data: string;
}

const isPicture = (value: unknown): value is Picture =>
  typeof value === "object" && value !== null && "data" in value && "mime" in value;

/** Pictures become blocks of their own, whichever tool made them; the structured result keeps what they are. */
const withoutData = (result: Structured): { structured: Structured; pictures: Picture[] } => {
  if (!Array.isArray(result.images)) return { structured: result, pictures: [] };
  const pictures = result.images.filter(isPicture);
  const images = pictures.map(({ mime, data }) => ({ mime, size_bytes: Buffer.byteLength(data, "base64") }));
  return { structured: { ...result, images }, pictures };
};

const linkOf = (tool: string, { url, path, mime }: Structured): ToolResult["content"] =>
  tool === "get_artifact" && typeof url === "string"
    ? [{ type: "resource_link", uri: url, name: String(path), mimeType: String(mime) }]
    : [];

/** @param tool its name */
export const answer = (tool: string, result: Structured): ToolResult => {
  const own = withoutData(result);
  const told = withoutData((result.result ?? {}) as Structured); // get_call gives another tool's result
  const structured = told.pictures.length > 0 ? { ...own.structured, result: told.structured } : own.structured;
  const { content, structuredContent } = textAnswer(render(tool, structured), structured);
  const pictures = [...own.pictures, ...told.pictures].map(
    ({ mime, data }) => ({ type: "image", data, mimeType: mime }) as const,
  );
  return { content: [...content, ...pictures, ...linkOf(tool, result)], structuredContent };
};

export const failed = (failure: ToolFailure): ToolResult => {
  const text = `${failure.code}: ${failure.message}${failure.hint ? ` ${failure.hint}` : ""}`;
  return { ...textAnswer(text, { ...failure.toRecord() }), isError: true };
};
