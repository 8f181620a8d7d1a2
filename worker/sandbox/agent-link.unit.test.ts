import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect } from "chai";
import { AgentFrameSchema, WorkerFrameSchema } from "../../proto/gen/codegen/agent/v1/agent_pb.ts";
import { silentLog } from "../../test/support/silent-log.ts";
import { encodeFrame, messageDecoder } from "../frames/messages.ts";
import { AgentLink } from "./agent-link.ts";
import { ProcessLedger } from "./process-ledger.ts";
import { SocketChannel } from "./socket-channel.ts";

/** What an agent, or user code in its place, may say. */
class FakeAgent {
  readonly closed: Promise<void>;
  private constructor(readonly socket: Socket) {
    this.closed = new Promise((resolve) => void socket.on("close", () => resolve()));
    socket.on("error", () => {});
  }

  /** Connects, again and again while nobody listens, and greets. */
  static async connect(folder: string, bootId = "boot"): Promise<FakeAgent> {
    for (;;) {
      const socket = connect(join(folder, "agent.sock"));
      const isConnected = await new Promise<boolean>((resolve) => {
        socket.on("connect", () => resolve(true)).on("error", () => resolve(false));
      });
      if (!isConnected) continue;
      const agent = new FakeAgent(socket);
      const decoder = messageDecoder(WorkerFrameSchema);
      socket.on("data", (chunk: Buffer) => {
        for (const { requestId, body } of decoder.push(chunk))
          if (body.case === "hello")
            agent.say({ requestId, body: { case: "hello", value: { bootId, workdir: "/w" } } });
      });
      return agent;
    }
  }

  say(frame: MessageInitShape<typeof AgentFrameSchema>): void {
    this.socket.write(encodeFrame(AgentFrameSchema, create(AgentFrameSchema, frame)));
  }
}

describe("AgentLink", () => {
  let folder: string;
  let link: AgentLink;
  let events: string[];
  let ledger: ProcessLedger;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "link-"));
    events = [];
    ledger = new ProcessLedger();
    const channel = new SocketChannel(folder);
    await channel.prepare();
    const listener = {
      onEvent: (event: Parameters<ConstructorParameters<typeof AgentLink>[0]["listener"]["onEvent"]>[0]) => {
        if (event.case === "output") ledger.onOutput(event.value);
        else ledger.onExited(event.value);
        events.push(event.case);
      },
      onGreeted: () => void events.push("greeted"),
      onDisconnected: () => void events.push("disconnected"),
      onBroken: () => void events.push("broken"),
    };
    link = new AgentLink({ channel, listener, log: silentLog, name: "s" });
    await link.open();
  });
  afterEach(async () => {
    await link.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const output = (offset: number, data: string, processId = "p") =>
    ({
      body: { case: "output", value: { processId, stream: 1, offset: BigInt(offset), data: Buffer.from(data) } },
    }) as const;
  const exited = (outputBytes: number, processId = "p") =>
    ({ body: { case: "exited", value: { processId, outputBytes: BigInt(outputBytes) } } }) as const;

  it("goes on after a reconnect, with nothing told twice", async () => {
    ledger.begin("p");
    const first = await FakeAgent.connect(folder);
    await link.connected(1_000);
    first.say(output(0, "abc"));
    await eventually(() => events.includes("output"));
    first.socket.end();
    const second = await FakeAgent.connect(folder);
    await eventually(() => events.at(-1) === "greeted");
    second.say(output(0, "abcdef"));
    second.say(exited(6));
    second.say(exited(6));
    await eventually(() => events.filter((event) => event === "exited").length === 2);
    expect(events).to.deep.equal(["greeted", "output", "disconnected", "greeted", "output", "exited", "exited"]);
  });

  it("hears only one agent: while it is connected nobody else can", async () => {
    const agent = await FakeAgent.connect(folder);
    await link.connected(1_000);
    const refused = await new Promise<string>((resolve) => {
      const socket = connect(join(folder, "agent.sock"));
      socket
        .on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? ""))
        .on("close", () => resolve("closed"));
    });
    expect(refused).to.be.oneOf(["ENOENT", "ECONNREFUSED", "closed"]);
    expect(agent.socket.destroyed).to.equal(false);
  });

  it("is there for the agent when an earlier worker stops listening late", async () => {
    const [earlier, later] = [new SocketChannel(folder), new SocketChannel(folder)];
    await earlier.open(() => {});
    let isTaken = false;
    await later.open(() => {
      isTaken = true;
    });
    await earlier.close();
    const agent = connect(join(folder, "agent.sock"));
    await once(agent, "connect");
    await eventually(() => isTaken);
    await later.close();
    await once(agent.resume(), "close");
  });

  for (const [what, speak] of [
    ["an oversized frame", (agent) => agent.socket.write(Buffer.from([0xff, 0xff, 0xff, 0xff, 0x07]))],
    ["garbage", (agent) => agent.socket.write(Buffer.alloc(64, 0xff))],
    ["a frame that is no message", (agent) => agent.socket.write(Buffer.from([3, 0x0a, 0x7f, 0x01]))],
    [
      "an answer to a request that was never sent",
      (agent) => agent.say({ requestId: 99n, body: { case: "pong", value: {} } }),
    ],
    ["output of a process that was never started", (agent) => agent.say(output(0, "x", "other"))],
    ["output that skips", (agent) => agent.say(output(5, "x"))],
    ["an end before the output that it counts", (agent) => agent.say(exited(3))],
    [
      "output without end and unacknowledged",
      (agent) => {
        for (let i = 0; i < 30; i++) agent.say(output(i * 65_536, "x".repeat(65_536)));
      },
    ],
  ] as [string, (agent: FakeAgent) => void][]) {
    it(`closes the connection on ${what}, and takes the next one`, async () => {
      ledger.begin("p");
      const agent = await FakeAgent.connect(folder);
      await link.connected(1_000);
      speak(agent);
      await agent.closed;
      await FakeAgent.connect(folder);
      await link.connected(1_000);
      expect(events.filter((event) => event === "greeted")).to.have.length(2);
    });
  }

  it("gives up after three connections that broke the protocol", async () => {
    for (let i = 0; i < 3; i++) {
      const agent = await FakeAgent.connect(folder);
      await link.connected(1_000);
      agent.socket.write(Buffer.alloc(64, 0xff));
      await agent.closed;
    }
    expect(events.at(-1)).to.equal("broken");
    const error = await link.request({ case: "ping", value: {} }, "pong", 1_000).catch((error) => error);
    expect(error).to.include({ code: "SANDBOX_UNAVAILABLE" });
  });

  it("does not mind half a frame before the agent is gone", async () => {
    const agent = await FakeAgent.connect(folder);
    await link.connected(1_000);
    agent.socket.end(Buffer.from([200, 1, 1, 2, 3]));
    await FakeAgent.connect(folder);
    await eventually(() => events.at(-1) === "greeted" && events.length === 3);
  });

  it("says of a lost answer whether something may have happened", async () => {
    const agent = await FakeAgent.connect(folder);
    await link.connected(1_000);
    const spawn = link.request({ case: "spawn", value: { processId: "p" } }, "spawned", 1_000, { isMutating: true });
    const read = link.request({ case: "readFile", value: {} }, "fileContent", 1_000);
    const results = Promise.allSettled([spawn, read]);
    agent.socket.end();
    expect((await results).map((result) => result.status === "rejected" && result.reason.code)).to.deep.equal([
      "OUTCOME_UNKNOWN",
      "SANDBOX_UNAVAILABLE",
    ]);
  });

  it("does not wait for ever for an answer", async () => {
    await FakeAgent.connect(folder);
    await link.connected(1_000);
    const error = await link.request({ case: "ping", value: {} }, "pong", 30).catch((error) => error);
    expect(error).to.include({ code: "SANDBOX_UNAVAILABLE" });
  });
});

const eventually = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) await new Promise((resolve) => void setImmediate(resolve));
};
