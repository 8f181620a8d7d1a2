import type { IncomingMessage } from "node:http";
import type { AuthInfo } from "@modelcontextprotocol/server";

/** As a server sees it; `auth.clientId` is the principal. */
export type McpRequest = IncomingMessage & { method: string; url: string; auth: AuthInfo };
