/** A token that is good, and whose it is. */
export interface Verified {
  principal: string;
  /** When it must be looked at again at the latest, `Date.now()`. */
  until: number;
}

/** Why a request is not let in. Never says more of a token than whoever sent it knows. */
export class Refusal {
  private constructor(
    readonly status: 401 | 503,
    /** RFC 6750's code; undefined where no token was sent at all. */
    readonly error: "invalid_request" | "invalid_token" | undefined,
    /** For people: printable ASCII without quotes. */
    readonly why: string,
  ) {}

  static readonly noToken = new Refusal(401, undefined, "This server wants a bearer token");
  static readonly malformed = new Refusal(401, "invalid_request", "The Authorization header holds no bearer token");

  static invalid(why: string): Refusal {
    return new Refusal(401, "invalid_token", why);
  }

  /** Nothing is known about the token: it may be good, and the same request may be let in later. */
  static later(why: string): Refusal {
    return new Refusal(503, undefined, why);
  }
}

export type Verdict = Verified | Refusal;
