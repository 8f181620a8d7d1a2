import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { WorkerFrame } from "../../proto/gen/codegen/agent/v1/agent_pb.ts";
import type { AgentFrameInit } from "./connection.ts";

/**
 * The agent's half of agent.proto, without the reflection of the generated code, which costs 3.4 MB in every sandbox.
 * codec.unit.test.ts compares these tables with the generated descriptors.
 */
type Scalar = "string" | "bytes" | "bool" | "uint32" | "int32" | "uint64" | "enum" | "strings";
/** Number of the field: its name, and its type or the table of the message that it repeats. */
export type Fields = Readonly<Record<number, readonly [name: string, type: Scalar | Fields]>>;
/** Number of the alternative in the frame's `body`: its case and its message. */
export type Bodies = Readonly<Record<number, readonly [name: string, fields: Fields]>>;

const PROCESS_ID = ["processId", "string"] as const;
const PATH = ["path", "string"] as const;
const ENTRIES: Fields[number] = [
  "entries",
  {
    1: PATH,
    2: ["kind", "enum"],
    3: ["mode", "uint32"],
    4: ["mtimeUs", "uint64"],
    5: ["sizeBytes", "uint64"],
    6: ["chunks", "bytes"],
    7: ["target", "string"],
    8: ["isInline", "bool"],
  },
];

/** "strings" is a map of strings. */
export const WORKER_BODIES: Bodies = {
  2: ["hello", { 1: ["epoch", "uint64"], 2: ["env", "strings"], 45: ["vouchedMs", "uint64"] }],
  3: ["ping", {}],
  4: [
    "spawn",
    {
      1: PROCESS_ID,
      2: ["command", "string"],
      3: ["cwd", "string"],
      4: ["env", "strings"],
      5: ["stdin", "bytes"],
      6: ["keepStdin", "bool"],
      7: ["timeoutMs", "uint64"],
      8: ["endsCall", "bool"],
      20: ["ptyRows", "uint32"],
      21: ["ptyColumns", "uint32"],
    },
  ],
  5: ["kill", { 1: PROCESS_ID, 2: ["signal", "string"] }],
  6: ["writeStdin", { 1: PROCESS_ID, 2: ["data", "bytes"], 3: ["close", "bool"] }],
  7: ["outputAck", { 1: PROCESS_ID, 2: ["offset", "uint64"] }],
  8: ["exitAck", { 1: PROCESS_ID }],
  9: [
    "readFile",
    {
      1: PATH,
      2: ["lineOffset", "uint64"],
      3: ["lineLimit", "uint64"],
      4: ["maxBytes", "uint64"],
      5: ["raw", "bool"],
      30: ["inHome", "bool"],
    },
  ],
  10: [
    "writeFile",
    { 1: PATH, 2: ["content", "bytes"], 3: ["mode", "uint32"], 4: ["ifSha256", "string"], 30: ["inHome", "bool"] },
  ],
  11: [
    "listFiles",
    {
      1: PATH,
      2: ["glob", "string"],
      3: ["depth", "uint32"],
      4: ["includeHidden", "bool"],
      5: ["respectGitignore", "bool"],
      6: ["limit", "uint32"],
    },
  ],
  12: [
    "writeFiles",
    {
      1: [
        "changes",
        { 1: PATH, 2: ["content", "bytes"], 3: ["mode", "uint32"], 4: ["ifSha256", "string"], 5: ["remove", "bool"] },
      ],
    },
  ],
  13: [
    "searchFiles",
    {
      1: PATH,
      2: ["pattern", "string"],
      3: ["literal", "bool"],
      4: ["glob", "string"],
      5: ["mode", "string"],
      6: ["context", "uint32"],
      7: ["caseSensitive", "bool"],
      8: ["limit", "uint32"],
    },
  ],
  14: ["markWorkspace", { 1: ["isSessionStart", "bool"] }],
  15: ["diffWorkspace", { 1: ["since", "string"], 2: PATH }],
  35: ["readPart", { 1: PATH, 2: ["offset", "uint64"], 3: ["length", "uint32"], 4: ["version", "string"] }],
  36: [
    "writePart",
    {
      1: PATH,
      2: ["uploadId", "string"],
      3: ["offset", "uint64"],
      4: ["data", "bytes"],
      5: ["isLast", "bool"],
      6: ["discard", "bool"],
    },
  ],
  45: ["vouch", { 1: ["forMs", "uint64"] }],
  46: ["getUsage", {}],
  50: [
    "scanTree",
    { 1: ["generation", "string"], 2: ["base", "uint64"], 3: ["isContinued", "bool"], 4: ["isBare", "bool"] },
  ],
  51: ["readChunks", { 1: ["chunks", { 1: PATH, 2: ["index", "uint32"] }] }],
  52: ["endScan", {}],
  53: [
    "unpackTree",
    {
      1: ["isFirst", "bool"],
      2: ENTRIES,
      3: ["pieces", { 1: PATH, 2: ["index", "uint32"], 3: ["length", "uint32"] }],
      4: ["data", "bytes"],
      5: ["isLast", "bool"],
    },
  ],
  20: [
    "runCode",
    {
      1: PROCESS_ID,
      2: ["language", "string"],
      3: ["context", "string"],
      4: ["code", "string"],
      5: ["reset", "bool"],
      6: ["timeoutMs", "uint64"],
    },
  ],
  21: ["stopCode", { 1: ["language", "string"], 2: ["context", "string"], 3: ["reset", "bool"] }],
};

export const AGENT_BODIES: Bodies = {
  2: [
    "hello",
    {
      1: ["agentVersion", "string"],
      2: ["bootId", "string"],
      3: ["workdir", "string"],
      4: ["processes", { 1: PROCESS_ID, 2: ["outputOffset", "uint64"] }],
    },
  ],
  3: ["pong", {}],
  4: ["spawned", { 1: ["pid", "uint32"] }],
  5: ["killed", { 1: ["count", "uint32"] }],
  6: ["stdinWritten", {}],
  7: [
    "fileContent",
    {
      1: ["content", "bytes"],
      2: ["sizeBytes", "uint64"],
      3: ["sha256", "string"],
      4: ["totalLines", "uint64"],
      5: ["lineCount", "uint64"],
      6: ["truncated", "bool"],
      7: ["isUtf8", "bool"],
      8: ["mime", "string"],
      9: ["mode", "uint32"],
    },
  ],
  8: ["fileWritten", { 1: ["sizeBytes", "uint64"], 2: ["sha256", "string"], 3: ["created", "bool"] }],
  9: [
    "fileList",
    {
      1: ["entries", { 1: PATH, 2: ["type", "string"], 3: ["sizeBytes", "uint64"], 4: ["mtimeMs", "uint64"] }],
      2: ["truncated", "bool"],
    },
  ],
  10: ["failure", { 1: ["code", "string"], 2: ["message", "string"] }],
  11: ["output", { 1: PROCESS_ID, 2: ["stream", "enum"], 3: ["offset", "uint64"], 4: ["data", "bytes"] }],
  12: [
    "exited",
    {
      1: PROCESS_ID,
      2: ["exitCode", "int32"],
      3: ["signal", "string"],
      4: ["timedOut", "bool"],
      5: ["killed", "bool"],
      6: ["durationMs", "uint64"],
      7: ["outputBytes", "uint64"],
      8: ["leftBehind", "uint32"],
      9: ["outOfMemory", "bool"],
      20: ["logBytes", "uint64"],
      21: ["result", "string"],
      22: ["images", { 1: ["data", "bytes"] }],
      23: ["droppedImages", "uint32"],
      24: ["isStateLost", "bool"],
    },
  ],
  13: ["filesWritten", {}],
  14: [
    "searchResult",
    {
      1: [
        "matches",
        {
          1: PATH,
          2: ["line", "uint64"],
          3: ["text", "string"],
          4: ["isContext", "bool"],
          5: ["count", "uint64"],
        },
      ],
      2: ["truncated", "bool"],
    },
  ],
  15: [
    "workspaceChanges",
    {
      1: [
        "changes",
        {
          1: PATH,
          2: ["oldMode", "uint32"],
          3: ["newMode", "uint32"],
          4: ["oldContent", "bytes"],
          5: ["newContent", "bytes"],
          6: ["withoutContent", "string"],
        },
      ],
      2: ["truncated", "bool"],
      3: ["calls", "uint32"],
    },
  ],
  35: [
    "filePart",
    { 1: ["data", "bytes"], 2: ["sizeBytes", "uint64"], 3: ["version", "string"], 4: ["mime", "string"] },
  ],
  46: ["usage", { 1: ["cpuUs", "uint64"], 2: ["memoryBytes", "uint64"] }],
  20: ["codeStarted", {}],
  21: ["codeStopped", { 1: ["wasRunning", "bool"], 2: ["isStateLost", "bool"] }],
  50: [
    "treeScan",
    {
      1: ["generation", "string"],
      2: ["number", "uint64"],
      3: ["isFull", "bool"],
      4: ENTRIES,
      5: ["data", "bytes"],
      6: ["isComplete", "bool"],
      7: ["isEnded", "bool"],
      8: ["leftOut", "uint32"],
      9: ["fileCount", "uint32"],
      10: ["fileBytes", "uint64"],
    },
  ],
  51: ["chunkData", { 1: ["data", "bytes"] }],
  52: ["scanEnded", {}],
  53: ["treeUnpacked", { 1: ["generation", "string"], 2: ["number", "uint64"] }],
};

type Message = Record<string, unknown>;

const DEFAULTS: Record<Scalar, () => unknown> = {
  string: () => "",
  bytes: () => new Uint8Array(0),
  bool: () => false,
  uint32: () => 0,
  int32: () => 0,
  enum: () => 0,
  uint64: () => 0n,
  strings: () => ({}),
};

/** @throws when the bytes are no frame; a body that this agent does not know has no case */
export const decodeWorkerFrame = (bytes: Uint8Array): WorkerFrame => {
  const reader = new BinaryReader(bytes);
  let requestId = 0n;
  let body: { case?: string; value?: Message } = {};
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const known = WORKER_BODIES[number];
    if (number === 1) requestId = BigInt(reader.uint64());
    else if (known && wireType === WireType.LengthDelimited)
      body = { case: known[0], value: readMessage(reader, known[1]) };
    else reader.skip(wireType, number);
  }
  return { requestId, body } as unknown as WorkerFrame;
};

export const encodeAgentFrame = ({ requestId, body }: AgentFrameInit): Uint8Array => {
  const writer = new BinaryWriter();
  if (requestId) writer.tag(1, WireType.Varint).uint64(requestId);
  for (const [number, [name, fields]] of Object.entries(AGENT_BODIES)) {
    if (name !== body?.case) continue;
    writer.tag(Number(number), WireType.LengthDelimited).fork();
    writeMessage(writer, fields, body.value as Message);
    writer.join();
  }
  return writer.finish();
};

const readMessage = (reader: BinaryReader, fields: Fields): Message => {
  const length = reader.uint32();
  const end = reader.pos + length;
  if (end > reader.len) throw new RangeError("a message is longer than its frame");
  const message: Message = {};
  for (const [name, type] of Object.values(fields)) message[name] = typeof type === "string" ? DEFAULTS[type]() : [];
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    const field = fields[number];
    if (!field) reader.skip(wireType, number);
    else if (field[1] === "strings") readEntry(reader, message[field[0]] as Record<string, string>);
    else if (typeof field[1] === "string") message[field[0]] = readScalar(reader, field[1]);
    else (message[field[0]] as Message[]).push(readMessage(reader, field[1]));
  }
  return message;
};

const readScalar = (reader: BinaryReader, type: Exclude<Scalar, "strings">): unknown =>
  type === "enum" ? reader.int32() : type === "uint64" ? BigInt(reader.uint64()) : reader[type]();

/** One entry of a map: key 1, value 2. */
const readEntry = (reader: BinaryReader, map: Record<string, string>): void => {
  const entry = readMessage(reader, { 1: ["key", "string"], 2: ["value", "string"] });
  // Not by assignment: a variable may be called __proto__.
  Object.defineProperty(map, entry.key as string, {
    value: entry.value,
    enumerable: true,
    writable: true,
    configurable: true,
  });
};

const writeMessage = (writer: BinaryWriter, fields: Fields, message: Message): void => {
  for (const [key, [name, type]] of Object.entries(fields)) {
    const number = Number(key);
    const value = message[name];
    if (typeof type !== "string") {
      for (const one of (value ?? []) as Message[]) {
        writer.tag(number, WireType.LengthDelimited).fork();
        writeMessage(writer, type, one);
        writer.join();
      }
    } else if (value && !(type === "bytes" && (value as Uint8Array).length === 0))
      writeScalar(writer, number, type, value);
  }
};

const writeScalar = (writer: BinaryWriter, number: number, type: Scalar, value: unknown): void => {
  if (type === "string") writer.tag(number, WireType.LengthDelimited).string(value as string);
  else if (type === "bytes") writer.tag(number, WireType.LengthDelimited).bytes(value as Uint8Array);
  else if (type === "bool") writer.tag(number, WireType.Varint).bool(value as boolean);
  else if (type === "uint64") writer.tag(number, WireType.Varint).uint64(value as bigint);
  else if (type === "uint32") writer.tag(number, WireType.Varint).uint32(value as number);
  else writer.tag(number, WireType.Varint).int32(value as number);
};
