import { create, toBinary } from "@bufbuild/protobuf";
import { expect } from "chai";
import fc from "fast-check";
import {
  TreeEntrySchema,
  TreeKind,
  UnpackTreeSchema,
  WorkerFrameSchema,
} from "../../proto/gen/codegen/agent/v1/agent_pb.ts";
import { MarkScanner } from "./attach-mark.ts";
import { unpackTreeFrame } from "./bulk-frame.ts";
import { type FrameError, MAX_FRAME_BYTES } from "./frames.ts";
import { encodeFrame, messageDecoder } from "./messages.ts";

const frame = (data: Uint8Array) =>
  create(WorkerFrameSchema, { requestId: 7n, body: { case: "writeStdin", value: { processId: "p", data } } });
const codeOf = (run: () => unknown): string => {
  try {
    run();
    return "none";
  } catch (error) {
    return (error as FrameError).code;
  }
};

describe("Frames", () => {
  it("come out as they went in, however the stream is cut", () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 }),
        fc.integer({ min: 1, max: 64 }),
        (payloads, step) => {
          const stream = Buffer.concat(payloads.map((data) => encodeFrame(WorkerFrameSchema, frame(data))));
          const decoder = messageDecoder(WorkerFrameSchema);
          const found: Uint8Array[] = [];
          for (let at = 0; at < stream.length; at += step)
            for (const { body } of decoder.push(stream.subarray(at, at + step)))
              if (body.case === "writeStdin") found.push(Buffer.from(body.value.data));
          decoder.end();
          expect(found.map((data) => Buffer.from(data).toString("hex"))).to.deep.equal(
            payloads.map((data) => Buffer.from(data).toString("hex")),
          );
        },
      ),
    );
  });

  it("with content in parts are those that encoding the whole message gives", () => {
    const entries = [create(TreeEntrySchema, { path: "a", kind: TreeKind.FILE, sizeBytes: 7n })];
    const message = { isFirst: true, entries, pieces: [{ path: "a", index: 0, length: 7 }], isLast: true };
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 }),
        fc.bigInt(1n, 2n ** 40n),
        (data, requestId) => {
          const [found] = messageDecoder(WorkerFrameSchema).push(
            Buffer.concat(unpackTreeFrame(requestId, message, data)),
          );
          const value = create(UnpackTreeSchema, { ...message, data: Buffer.concat(data) });
          const whole = create(WorkerFrameSchema, { requestId, body: { case: "unpackTree", value } });
          expect(toBinary(WorkerFrameSchema, found!)).to.deep.equal(toBinary(WorkerFrameSchema, whole));
        },
      ),
    );
    expect(codeOf(() => unpackTreeFrame(1n, message, [new Uint8Array(MAX_FRAME_BYTES)]))).to.equal("FRAME_TOO_LARGE");
  });

  it("that are too large are refused before they are sent, and by their declared size before they are kept", () => {
    expect(codeOf(() => encodeFrame(WorkerFrameSchema, frame(new Uint8Array(MAX_FRAME_BYTES))))).to.equal(
      "FRAME_TOO_LARGE",
    );
    const decoder = messageDecoder(WorkerFrameSchema, 100);
    expect(codeOf(() => [...decoder.push(Buffer.from([101, 0]))])).to.equal("FRAME_TOO_LARGE");
  });

  it("that end too early, or are none, are typed errors", () => {
    const decoder = messageDecoder(WorkerFrameSchema);
    expect([...decoder.push(Buffer.from([5, 1]))]).to.deep.equal([]);
    expect(codeOf(() => decoder.end())).to.equal("FRAME_CUT");
    expect(codeOf(() => [...messageDecoder(WorkerFrameSchema).push(Buffer.alloc(20, 0xff))])).to.equal(
      "FRAME_MALFORMED",
    );
    expect(codeOf(() => [...messageDecoder(WorkerFrameSchema).push(Buffer.from([2, 0x12, 0x7f]))])).to.equal(
      "FRAME_MALFORMED",
    );
  });
});

describe("MarkScanner", () => {
  it("finds the end of the mark wherever the stream is cut, and nothing else", () => {
    const mark = Buffer.from("aabaabaac");
    fc.assert(
      fc.property(fc.stringMatching(/^[abc]{0,40}$/), fc.integer({ min: 1, max: 20 }), (noise, step) => {
        const stream = Buffer.concat([Buffer.from(noise), mark, Buffer.from("bbb")]);
        const expected = stream.lastIndexOf(mark) + mark.length;
        const scanner = new MarkScanner(mark);
        let found = -1;
        for (let at = 0; at < stream.length; at += step) {
          const end = scanner.scan(stream.subarray(at, at + step));
          if (end !== undefined) found = at + end;
        }
        expect(found).to.equal(expected);
      }),
    );
  });
});
