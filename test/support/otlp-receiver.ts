import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { BinaryReader } from "@bufbuild/protobuf/wire";

/** As far as the tests look at one; ids in hex, "" for no parent. */
export interface ReceivedSpan {
  service: string;
  traceId: string;
  spanId: string;
  parentId: string;
  name: string;
  /** OTLP's number: 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  kind: number;
  attributes: Record<string, string>;
}

type Fields = Map<number, (Uint8Array | number)[]>;

/** A collector of traces: OTLP over HTTP with Protobuf, on a free loopback port. */
export class OtlpReceiver {
  readonly spans: ReceivedSpan[] = [];

  private constructor(private readonly server: Server) {}

  static async start(): Promise<OtlpReceiver> {
    const server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      if (request.url === "/v1/traces") receiver.spans.push(...spansIn(Buffer.concat(chunks)));
      response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
    });
    const receiver = new OtlpReceiver(server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    await closed;
  }
}

/** opentelemetry/proto/collector/trace/v1 ExportTraceServiceRequest. */
const spansIn = (body: Uint8Array): ReceivedSpan[] =>
  messages(read(body), 1).flatMap((resourceSpans) => {
    const [resource] = messages(resourceSpans, 1);
    const service = attributesOf(resource ?? new Map(), 1)["service.name"] ?? "";
    return messages(resourceSpans, 2).flatMap((scopeSpans) =>
      messages(scopeSpans, 2).map((span) => ({
        service,
        traceId: hex(span, 1),
        spanId: hex(span, 2),
        parentId: hex(span, 4),
        name: text(span, 5),
        kind: Number(span.get(6)?.[0] ?? 0),
        attributes: attributesOf(span, 9),
      })),
    );
  });

const read = (bytes: Uint8Array): Fields => {
  const fields: Fields = new Map();
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    const values = fields.get(number) ?? [];
    fields.set(number, values);
    if (type === 2) values.push(reader.bytes());
    else if (type === 0) values.push(Number(reader.uint64()));
    else reader.skip(type, number);
  }
  return fields;
};

const bytesOf = (fields: Fields, number: number): Uint8Array[] =>
  (fields.get(number) ?? []).filter((value) => value instanceof Uint8Array);
const messages = (fields: Fields, number: number): Fields[] => bytesOf(fields, number).map(read);
const hex = (fields: Fields, number: number): string => Buffer.from(bytesOf(fields, number)[0] ?? []).toString("hex");
const text = (fields: Fields, number: number): string => Buffer.from(bytesOf(fields, number)[0] ?? []).toString();

/** Strings only: KeyValue {1: key, 2: AnyValue {1: string}}. */
const attributesOf = (fields: Fields, number: number): Record<string, string> =>
  Object.fromEntries(
    messages(fields, number).map((pair) => [text(pair, 1), text(messages(pair, 2)[0] ?? new Map(), 1)]),
  );
