interface Receiving {
  onmessage?: ((message: never, ...more: never[]) => void) | undefined;
}

/**
 * Gives a connected SDK client one message a turn. The SDKs handle an answer before a notification that came right before
 * it in one chunk, and so drop a call's last progress; whether two come in one chunk is chance.
 */
export const oneAtATime = (transport: Receiving): void => {
  const deliver = transport.onmessage;
  transport.onmessage = (...message) => void setImmediate(() => deliver?.(...message));
};
