/** One server-sent event, as far as MCP uses them. */
export interface SseEvent {
  id: string | undefined;
  retryMs: number | undefined;
  data: string;
}

/** The events of a response's body as they come. Comments and what is cut off at the end are dropped. */
export async function* sseEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<SseEvent> {
  const decoder = new TextDecoder();
  let pending = "";
  for await (const chunk of body) {
    const blocks = (pending + decoder.decode(chunk, { stream: true })).replaceAll("\r\n", "\n").split("\n\n");
    pending = blocks.pop() ?? "";
    for (const block of blocks) yield parse(block);
  }
}

const parse = (block: string): SseEvent => {
  const event: SseEvent = { id: undefined, retryMs: undefined, data: "" };
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const [, field, value = ""] = /^(\w+): ?(.*)$/s.exec(line) ?? [];
    if (field === "data") data.push(value);
    else if (field === "id") event.id = value;
    else if (field === "retry") event.retryMs = Number(value);
  }
  return { ...event, data: data.join("\n") };
};
