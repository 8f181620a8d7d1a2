import type { IncomingMessage, ServerResponse } from "node:http";
import { hostHeaderValidation, originValidation } from "@modelcontextprotocol/node";
import type { Authenticator } from "./authenticator.ts";
import type { ProtectedResource } from "./protected-resource.ts";
import { Refusal, type Verdict } from "./verdict.ts";

const RETRY_AFTER_S = 2;

/** Stands before every route that is not open by itself. */
export class Gate {
  readonly #isHostAllowed;
  readonly #isOriginAllowed;

  /** @param names that requests may have in Host and Origin */
  constructor(
    private readonly deps: { authenticator: Authenticator; resource: ProtectedResource },
    names: string[],
  ) {
    this.#isHostAllowed = hostHeaderValidation(names);
    this.#isOriginAllowed = originValidation(names);
  }

  /** Whether this server may be called by the name that the request calls it; else the request is answered. */
  isAddressed(request: IncomingMessage, response: ServerResponse): boolean {
    return this.#isHostAllowed(request, response) && this.#isOriginAllowed(request, response);
  }

  /** Goes on with whoever may come in, at once where their token is known; others are answered. */
  enter(request: IncomingMessage, response: ServerResponse, goOn: (principal: string) => void): void {
    if (!this.isAddressed(request, response)) return;
    const settle = (verdict: Verdict): void => {
      if (request.destroyed) return; // the client went away meanwhile
      if (verdict instanceof Refusal) this.#refuse(response, verdict);
      else goOn(verdict.principal);
    };
    const verdict = this.deps.authenticator.check(request.headers.authorization);
    if (verdict instanceof Promise) void verdict.then(settle);
    else settle(verdict);
  }

  #refuse(response: ServerResponse, refusal: Refusal): void {
    const { status, why } = refusal;
    const body = JSON.stringify({ jsonrpc: "2.0", error: { code: -32_000, message: why }, id: null });
    const header: Record<string, string> =
      status === 401
        ? { "www-authenticate": this.deps.resource.challenge(refusal) }
        : { "retry-after": String(RETRY_AFTER_S) };
    response.writeHead(status, { "content-type": "application/json", ...header }).end(body);
  }
}
