import { randomBytes } from "node:crypto";

/**
 * Ids are random (130 bits for a session), so that channels and records cannot be guessed. A call's id and the id of the
 * process it started carry their session's, so that any replica finds the record from the id alone.
 */
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"; // Crockford's base 32
/** Nobody can guess it: five bits a character. */
export const randomText = (length: number): string =>
  Array.from(randomBytes(length), (byte) => ALPHABET[byte % ALPHABET.length]).join("");

export type SessionId = `ses_${string}`;
export type CallId = `call_${string}`;
export type ProcessId = `proc_${string}`;
export type CheckpointId = `ckpt_${string}`;

export const newSessionId = (): SessionId => `ses_${randomText(26)}`;
export const newCallId = (sid: SessionId): CallId => `call_${sid.slice(4)}_${randomText(8)}`;
export const newCheckpointId = (sid: SessionId): CheckpointId => `ckpt_${sid.slice(4)}_${randomText(8)}`;
/** At most one process belongs to a call; the two ids differ in their prefix only. */
export const processIdOf = (callId: CallId): ProcessId => `proc_${callId.slice(5)}`;
export const callIdOf = (processId: ProcessId): CallId => `call_${processId.slice(5)}`;
/** Unlike a session's, a worker incarnation's id is no secret; it is short because it stands in every job id. */
export const newIncarnationId = (): string => `w_${randomText(10)}`;

// Those that 0.2 made have 16 characters, and may be there still.
const SESSION = /^ses_(?:[0-9a-z]{26}|[0-9a-z]{16})$/;
const OF_SESSION = /^(?:call|proc|ckpt)_([0-9a-z]{26}|[0-9a-z]{16})_[0-9a-z]{8}$/;
export const isSessionId = (text: string): text is SessionId => SESSION.test(text);
export const isCallId = (text: string): text is CallId => text.startsWith("call_") && OF_SESSION.test(text);
export const isProcessId = (text: string): text is ProcessId => text.startsWith("proc_") && OF_SESSION.test(text);
export const isCheckpointId = (text: string): text is CheckpointId => text.startsWith("ckpt_") && OF_SESSION.test(text);
/** The session that a call's, a process's or a checkpoint's id names. */
export const sessionOf = (id: CallId | ProcessId | CheckpointId): SessionId => `ses_${OF_SESSION.exec(id)?.[1] ?? ""}`;
