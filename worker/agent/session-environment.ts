/** What a process of the session inherits. */
export class SessionEnvironment {
  /** Set by Hello. */
  ofSession: Readonly<Record<string, string>> = {};

  constructor(private readonly ofLogin: Readonly<Record<string, string>>) {}

  all(): Record<string, string> {
    return { ...this.ofLogin, ...this.ofSession };
  }
}
