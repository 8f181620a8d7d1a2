import { create, type DescField, type DescMessage, fromBinary, ScalarType, toBinary } from "@bufbuild/protobuf";
import { expect } from "chai";
import { AgentFrameSchema, type Spawn, WorkerFrameSchema } from "../../proto/gen/codegen/agent/v1/agent_pb.ts";
import { AGENT_BODIES, type Bodies, decodeWorkerFrame, encodeAgentFrame, type Fields, WORKER_BODIES } from "./codec.ts";
import type { AgentFrameInit } from "./connection.ts";

const typeOf = (field: DescField): Fields[number][1] => {
  if (field.fieldKind === "enum") return "enum";
  if (field.fieldKind === "map") return "strings";
  if (field.fieldKind === "list" && field.listKind === "message") return fieldsOf(field.message);
  if (field.fieldKind === "scalar") return ScalarType[field.scalar].toLowerCase() as Fields[number][1];
  throw new Error(`codec.ts does not know the kind of ${field}`);
};
const fieldsOf = (message: DescMessage): Fields =>
  Object.fromEntries(message.fields.map((field) => [field.number, [field.localName, typeOf(field)]]));
const bodiesOf = (frame: DescMessage): Bodies =>
  Object.fromEntries(
    frame.oneofs[0]!.fields.map((field) => [field.number, [field.localName, fieldsOf(field.message!)]]),
  );

describe("The agent's codec", () => {
  it("knows every message and field of agent.proto", () => {
    expect(WORKER_BODIES).to.deep.equal(bodiesOf(WorkerFrameSchema));
    expect(AGENT_BODIES).to.deep.equal(bodiesOf(AgentFrameSchema));
  });

  it("reads what the generated code writes", () => {
    const env = { A: "ä", EMPTY: "" };
    const value = {
      processId: "p",
      command: "c",
      cwd: "",
      env,
      stdin: Buffer.from([0, 255]),
      keepStdin: true,
      timeoutMs: 2n ** 40n,
      endsCall: true,
      ptyRows: 40,
      ptyColumns: 0,
    };
    const frame = create(WorkerFrameSchema, { requestId: 2n ** 60n, body: { case: "spawn", value } });
    const { requestId, body } = decodeWorkerFrame(toBinary(WorkerFrameSchema, frame));
    expect(requestId).to.equal(2n ** 60n);
    expect(body.case).to.equal("spawn");
    expect({ ...(body.value as object), stdin: [...(body.value as Spawn).stdin] }).to.deep.equal({
      ...value,
      stdin: [0, 255],
    });
    const empty = create(WorkerFrameSchema, { requestId: 1n, body: { case: "listFiles", value: {} } });
    expect(decodeWorkerFrame(toBinary(WorkerFrameSchema, empty)).body.value).to.deep.equal({
      ...{ path: "", glob: "", depth: 0, includeHidden: false, respectGitignore: false, limit: 0 },
    });
  });

  it("writes what the generated code reads", () => {
    const exited = {
      processId: "p",
      exitCode: -1,
      signal: "SIGKILL",
      durationMs: 5n,
      outputBytes: 2n ** 33n,
      leftBehind: 2,
      killed: true,
    };
    const processes = [
      { processId: "a", outputOffset: 0n },
      { processId: "b", outputOffset: 7n },
    ];
    const bodies: AgentFrameInit["body"][] = [
      { case: "exited", value: exited },
      { case: "hello", value: { bootId: "b", processes } },
      { case: "pong", value: {} },
      { case: "output", value: { processId: "p", stream: 2, offset: 1n, data: Buffer.from("x") } },
      { case: "fileList", value: { entries: [{ path: "p", type: "file", sizeBytes: 1n }], truncated: true } },
    ];
    for (const body of bodies) {
      const found = fromBinary(AgentFrameSchema, encodeAgentFrame({ requestId: 3n, body: body! }));
      const expected = fromBinary(
        AgentFrameSchema,
        toBinary(AgentFrameSchema, create(AgentFrameSchema, { requestId: 3n, body: body! })),
      );
      expect(found).to.deep.equal(expected);
    }
  });

  it("refuses what is cut, and does not know what it does not know", () => {
    expect(() => decodeWorkerFrame(Buffer.from([0x22, 0x7f, 0x0a]))).to.throw();
    expect(decodeWorkerFrame(Buffer.from([0x08, 1, 0xfa, 0x01, 0])).body).to.deep.equal({});
  });
});
