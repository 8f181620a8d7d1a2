export interface EngineEvent {
  stream?: string;
  status?: string;
  error?: string;
}

/**
 * Reads the JSON lines that the engine sends while it pulls, imports or builds, to their end.
 * @throws with the engine's own words: it reports a failure as an event of a response that began with 200
 */
export async function followEvents(
  stream: NodeJS.ReadableStream,
  onEvent: (event: EngineEvent) => void = () => {},
): Promise<void> {
  let rest = "";
  stream.setEncoding("utf8");
  for await (const chunk of stream) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines.filter((line) => line.trim() !== "")) {
      const event = JSON.parse(line) as EngineEvent;
      if (event.error) throw new Error(event.error);
      onEvent(event);
    }
  }
}
