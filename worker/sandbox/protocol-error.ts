/** The agent said what cannot be: the connection it came from is closed. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}
