import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { FrameDecoder, toFrame } from "./frames.ts";

/** @throws {FrameError} FRAME_TOO_LARGE, before a byte was sent */
export const encodeFrame = <Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Uint8Array =>
  toFrame(toBinary(schema, message));

/** Cuts a byte stream into messages of one type. */
export const messageDecoder = <Desc extends DescMessage>(
  schema: Desc,
  maxBytes?: number,
): FrameDecoder<MessageShape<Desc>> => new FrameDecoder((bytes) => fromBinary(schema, bytes), maxBytes);
