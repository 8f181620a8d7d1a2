import { type ClientRequest, request as plainRequest, type RequestOptions } from "node:http";
import { request as tlsRequest } from "node:https";

/** Asks a coordinator, which may speak TLS: its authority is one that Node.js knows, or is told by `NODE_EXTRA_CA_CERTS`. */
export const requestTo = (url: string, options: RequestOptions): ClientRequest =>
  (url.startsWith("https:") ? tlsRequest : plainRequest)(url, options);
