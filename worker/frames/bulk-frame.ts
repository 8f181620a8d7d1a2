import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { UnpackTreeSchema, WorkerFrameSchema } from "../../proto/gen/codegen/agent/v1/agent_pb.ts";
import { frameHeader } from "./frames.ts";

/**
 * The frame of an `UnpackTree` whose `data`, whatever it says itself, are these parts, one after the other, to be written in this order. It is what
 * `encodeFrame` makes of it, but the parts go out as they are: encoding megabytes copies them five times, and it is this
 * that a restore would spend its time on.
 * @throws {FrameError} FRAME_TOO_LARGE, before a byte was sent
 */
export const unpackTreeFrame = (
  requestId: bigint,
  message: MessageInitShape<typeof UnpackTreeSchema>,
  data: readonly Uint8Array[],
): Uint8Array[] => {
  const dataBytes = data.reduce((sum, { length }) => sum + length, 0);
  const fields = toBinary(UnpackTreeSchema, create(UnpackTreeSchema, message));
  const dataHead = new BinaryWriter()
    .tag(UnpackTreeSchema.field.data.number, WireType.LengthDelimited)
    .uint32(dataBytes)
    .finish();
  const head = new BinaryWriter()
    .tag(WorkerFrameSchema.field.requestId.number, WireType.Varint)
    .uint64(requestId)
    .tag(WorkerFrameSchema.field.unpackTree.number, WireType.LengthDelimited)
    .uint32(fields.length + dataHead.length + dataBytes)
    .raw(fields)
    .raw(dataHead)
    .finish();
  return [Buffer.from(frameHeader(head.length + dataBytes)), head, ...data];
};
