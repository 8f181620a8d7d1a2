import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { discoverOAuthProtectedResourceMetadata } from "@modelcontextprotocol/client";
import { expect } from "chai";
import type { Coordinator } from "../../coordinator/coordinator.ts";
import { eventually } from "../support/eventually.ts";
import { startCoordinator } from "../support/start-coordinator.ts";
import { connectModern, connectV1 } from "../support/tool-client.ts";
import { AUDIENCE, useIssuer } from "../support/use-issuer.ts";
import { useProcesses } from "../support/use-processes.ts";
import { useRedis } from "../support/use-redis.ts";
import { useTokens } from "../support/use-tokens.ts";
import { send, type WireAnswer } from "../support/wire.ts";

const run = promisify(execFile);
const script = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url)); // in dist/
const LIST = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: {} });

describe("Who may come in", () => {
  const { server, tokens, issuer } = { server: useRedis(), tokens: useTokens(), issuer: useIssuer() };
  const replicas: Coordinator[] = [];
  let token: string;
  before(async () => {
    token = await tokens.add("me");
    const env = {
      ...{ REDIS_URL: server.server.url, AUTH_TOKENS_FILE: tokens.file },
      ...{ OIDC_ISSUER: issuer.url, OIDC_AUDIENCE: AUDIENCE, HOST: "0.0.0.0", PUBLIC_URL: "https://codegen.example" },
    };
    for (let i = 0; i < 2; i++) replicas.push(await startCoordinator(env));
  });
  after(() => Promise.all(replicas.map((replica) => replica.stop())));

  const urlOf = (path: string, replica = replicas[0]): string =>
    `${replica?.url.replace("0.0.0.0", "127.0.0.1")}${path}`;
  const ask = (path: string, headers: Record<string, string> = {}, method = "POST"): Promise<WireAnswer> => {
    const json = { "content-type": "application/json", accept: "application/json, text/event-stream" };
    return send(urlOf(path), { method, headers: { ...json, ...headers }, body: method === "POST" ? LIST : "" });
  };
  const bearer = (one: string): Record<string, string> => ({ authorization: `Bearer ${one}` });

  const CLOSED = [
    ...[
      ["POST", "/mcp"],
      ["GET", "/mcp"],
      ["DELETE", "/mcp"],
      ["POST", "/MCP/"],
      ["POST", "/mcp?toolset=core"],
    ],
    ...[
      ["GET", "/mcp/sse"],
      ["POST", "/mcp/message?sessionId=x"],
      ["GET", "/metrics"],
      ["GET", "/"],
      ["POST", "/mcp/x"],
    ],
    ...[
      ["GET", "/healthz/x"],
      ["GET", "/.well-known/openid-configuration"],
      ["GET", "/artifacts"],
      ["GET", "/transfers/"],
    ],
  ] as [string, string][];
  for (const [method, path] of CLOSED) {
    it(`wants a token at ${method} ${path}`, async () => {
      const none = await ask(path, {}, method);
      expect(none.status).to.equal(401);
      expect(none.headers["www-authenticate"]).to.equal(
        'Bearer resource_metadata="https://codegen.example/.well-known/oauth-protected-resource/mcp"',
      );
      const wrong = await ask(path, bearer("wrong"), method);
      expect(wrong.status).to.equal(401);
      expect(wrong.headers["www-authenticate"]).to.include('error="invalid_token"');
      expect(wrong.json).to.have.nested.property("error.message");
    });
  }

  it("answers probes, clients that look for tokens, and whoever brings an id or a signature, without one", async () => {
    for (const path of ["/healthz", "/readyz"]) expect((await ask(path, {}, "GET")).status, path).to.equal(200);
    expect((await ask("/artifacts/forged.url", {}, "GET")).status).to.equal(403);
    expect((await ask("/transfers/unknown", {}, "GET")).status).to.equal(404);
    for (const path of ["", "/mcp"]) {
      const { status, json } = await ask(`/.well-known/oauth-protected-resource${path}`, {}, "GET");
      expect(status).to.equal(200);
      expect(json).to.deep.equal({
        resource: `https://codegen.example${path}`,
        authorization_servers: [issuer.url],
        bearer_methods_supported: ["header"],
        resource_name: "codegen-mcp",
      });
    }
    const found = await discoverOAuthProtectedResourceMetadata(urlOf("/mcp"));
    expect(found.authorization_servers, "as the SDK's client reads it").to.deep.equal([issuer.url]);
  });

  it("lets clients of both eras in with a token of either kind, on every replica", async () => {
    const jwt = await issuer.sign();
    for (const replica of replicas) {
      for (const one of [token, jwt]) {
        for (const connect of [connectModern, connectV1]) {
          const client = await connect(urlOf("/mcp", replica), bearer(one));
          expect(await client.toolNames()).to.include("run_command");
          await client.close();
        }
      }
    }
    const refused = await connectModern(urlOf("/mcp")).catch((error: unknown) => error);
    expect(refused).to.be.an("error");
  });

  const now = Math.floor(Date.now() / 1000);
  const bad: Record<string, () => Promise<string>> = {
    "an expired JWT": () => issuer.sign({ exp: now - 60 }),
    "a JWT for another audience": () => issuer.sign({ aud: "https://other.example" }),
    "a forged JWT": async () => (await issuer.sign()).replace(/.{8}$/, "AAAAAAAA"),
    "an expired token of the file": () => tokens.add("late", new Date(Date.now() - 1)),
    "a wrong secret": async () => `${token.slice(0, -4)}zzzz`,
  };
  for (const [what, make] of Object.entries(bad)) {
    it(`refuses ${what}, in both eras and on either replica`, async () => {
      const wrong = await make();
      for (const [index, protocol] of ["2025-06-18", "2026-07-28"].entries()) {
        const headers = { "content-type": "application/json", "mcp-protocol-version": protocol, ...bearer(wrong) };
        const answer = await send(urlOf("/mcp", replicas[index]), { headers, body: LIST });
        expect(answer.status).to.equal(401);
        expect(answer.headers["www-authenticate"]).to.match(
          /^Bearer resource_metadata=".*", error="invalid_token", error_description="[^"]+"$/,
        );
      }
    });
  }

  for (const mood of ["failing", "hanging"] as const) {
    it(`answers 503 to a JWT while the keys' endpoint is ${mood}, and lets others in meanwhile`, async () => {
      const env = { OIDC_ISSUER: issuer.url, OIDC_AUDIENCE: AUDIENCE, AUTH_TOKENS_FILE: tokens.file };
      const replica = await startCoordinator({ REDIS_URL: server.server.url, ...env });
      const list = (one: string): Promise<WireAnswer> => {
        const headers = { "content-type": "application/json", accept: "application/json", ...bearer(one) };
        return send(urlOf("/mcp", replica), { headers, body: LIST });
      };
      issuer.mood = mood;
      const asked = list(await issuer.sign());
      expect((await list(token)).status, "let in, to be told that it lacks a session").to.equal(400);
      const answer = await asked;
      expect(answer.status).to.equal(503);
      expect(Number(answer.headers["retry-after"])).to.be.above(0);
      expect(answer.headers).to.not.have.property("www-authenticate");
      issuer.mood = "well";
      await replica.stop();
    });
  }

  it("refuses a revoked token on every replica, within a connection that was let in before too", async () => {
    const revoked = await tokens.add("gone");
    const client = await eventually("the token is known", () => connectV1(urlOf("/mcp"), bearer(revoked)));
    expect(await client.toolNames()).to.include("run_command");
    await tokens.revoke(revoked);
    for (const replica of replicas) {
      await eventually("it is refused", async () => {
        const headers = { "content-type": "application/json", ...bearer(revoked) };
        return (await send(urlOf("/mcp", replica), { headers, body: LIST })).status === 401;
      });
    }
    expect(await client.toolNames().catch((error: unknown) => error)).to.be.an("error");
    await client.close().catch(() => {});
  });

  it("checks Host and Origin before the token, on a public bind too", async () => {
    for (const headers of [
      { host: "evil.example" },
      { origin: "https://evil.example" },
      { host: "codegen.example.evil" },
    ]) {
      for (const path of ["/mcp", "/mcp/sse", "/artifacts/x.y", "/.well-known/oauth-protected-resource", "/metrics"])
        expect((await ask(path, { ...bearer(token), ...headers }, "GET")).status, path).to.equal(403);
    }
    const named = { host: "codegen.example", origin: "https://codegen.example", ...bearer(token) };
    expect((await ask("/nothing", named, "GET")).status, "the public URL's name is its own").to.equal(404);
  });

  it("takes a token that scripts/token made, from the command line's client", async () => {
    const { stdout, stderr } = await run(process.execPath, [
      script("scripts/token.js"),
      "cli",
      "--file",
      tokens.file,
      "--days",
      "1",
    ]);
    const made = stdout.trim();
    expect(made).to.match(/^cgm_[0-9a-z]+_[0-9a-z]+$/);
    expect(stderr).to.include("principal cli");
    expect(await tokens.text()).to.not.include(made.split("_")[2]);
    const call = (env: object, ...args: string[]) =>
      run(
        process.execPath,
        [script("scripts/cli/main.js"), "call", "list_sessions", "--json", "--url", urlOf("/mcp"), ...args],
        {
          env: { ...process.env, CODEGEN_MCP_TOKEN: "", ...env },
        },
      );
    const answered = await eventually("it is known", () => call({ CODEGEN_MCP_TOKEN: made }));
    expect(JSON.parse(answered.stdout)).to.have.property("sessions");
    expect(JSON.parse((await call({}, "--token", made)).stdout)).to.have.property("sessions");
    const refused = (await call({}).catch((error: unknown) => error)) as { code: number; stderr: string };
    expect(refused.code).to.equal(2);
    expect(refused.stderr).to.include("bearer token");
  });
});

describe("A coordinator beyond loopback", () => {
  const processes = useProcesses();

  it("does not start when nobody would be asked for a token", async () => {
    const child = processes.launch("coordinator", { HOST: "0.0.0.0" });
    const said = child.line(/nothing says who may come in: set AUTH_TOKENS_FILE or OIDC_ISSUER/, 60_000);
    await said;
    expect((await child.exited).code).to.equal(1);
  });

  it("does not start without its token file", async () => {
    const child = processes.launch("coordinator", { HOST: "0.0.0.0", AUTH_TOKENS_FILE: `${processes.folder}/none` });
    await child.line(/none: ENOENT/, 60_000);
    expect((await child.exited).code).to.equal(1);
  });

  it("says so when that is forced, and when authentication is off", async () => {
    const child = processes.launch("coordinator", { HOST: "0.0.0.0", ALLOW_ANONYMOUS_PUBLIC: "true" });
    await child.line(/"level":40.*authentication is off/, 60_000);
  });
});
