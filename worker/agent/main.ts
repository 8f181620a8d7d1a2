import { randomUUID } from "node:crypto";
import { mkdirSync } from "node:fs";
import { Agent } from "./agent.ts";
import { AttachConnection } from "./attach-connection.ts";
import { type AgentConnection, type AgentFrameInit, Connection, type ConnectionListener } from "./connection.ts";
import { startEgressRelay } from "./egress-relay.ts";
import { Fence } from "./fence.ts";
import { Uploads } from "./files/uploads.ts";
import { WorkspacePaths } from "./files/workspace-path.ts";
import { Freezer } from "./freezer.ts";
import { WorkspaceHistory } from "./history/workspace-history.ts";
import { captureLoginEnvironment } from "./login-environment.ts";
import { Processes } from "./processes.ts";
import { RunnerSupply } from "./runner-supply.ts";
import { SessionEnvironment } from "./session-environment.ts";
import { OwnWrites } from "./tree/own-writes.ts";
import { TreeIndex } from "./tree/tree-index.ts";
import { TreeScan } from "./tree/tree-scan.ts";
import { TreeUnpacking } from "./tree/tree-unpacking.ts";

const INIT = "/opt/codegen/init";
const SOCKET = "/run/codegen/agent.sock";
const EGRESS_SOCKET = "/run/codegen/egress.sock";
/** Earlier contents of the workspace's files. Not below HOME: they shall not take of the workspace's disk. */
const HISTORY = "/tmp/.codegen-history";
const VERSION = "1";

const main = async (): Promise<void> => {
  const home = process.env.HOME ?? "/home/dev";
  const workdir = `${home}/workspace`;
  mkdirSync(workdir, { recursive: true });

  const runners = new RunnerSupply(INIT);
  const environment = new SessionEnvironment(
    await captureLoginEnvironment(runners, { ...(process.env as Record<string, string>) }),
  );
  runners.refill();

  const sendEvent = (frame: AgentFrameInit) => {
    if (agent.isGreeted) connection.send(frame);
  };
  const paths = new WorkspacePaths(workdir);
  const history = new WorkspaceHistory(paths, HISTORY);
  const freezer = new Freezer();
  const fence = new Fence(freezer);
  const processes = new Processes({
    runners,
    fence,
    workdir,
    environment: () => environment.all(),
    listener: {
      onOutput: (processId, { stream, offset, data }) =>
        sendEvent({ body: { case: "output", value: { processId, stream, offset: BigInt(offset), data } } }),
      onExited: (processId, { durationMs, outputBytes, logBytes, images = [], ...exit }) =>
        sendEvent({
          body: {
            case: "exited",
            value: {
              processId,
              ...exit,
              durationMs: BigInt(durationMs),
              outputBytes: BigInt(outputBytes),
              logBytes: BigInt(logBytes),
              images: images.map((data) => ({ data: new Uint8Array(data) })),
            },
          },
        }),
      onCallEnded: () => history.mark(false),
    },
  });
  const index = new TreeIndex(home);
  const ownWrites = new OwnWrites();
  const uploads = new Uploads(paths);
  const isAlone = (): boolean => {
    const waiting = runners.waitingPids;
    return uploads.isIdle && processes.areGone && freezer.living().every((pid) => waiting.includes(pid));
  };
  const agent = new Agent({
    bootId: randomUUID(),
    version: VERSION,
    paths,
    homePaths: new WorkspacePaths(home),
    history,
    uploads,
    ownWrites,
    environment,
    processes,
    fence,
    freezer,
    treeScan: new TreeScan({ index, freezer, ownWrites, isAlone }),
    unpacking: new TreeUnpacking({ index, freezer, workdir }),
    send: (frame) => connection.send(frame),
  });
  const listener: ConnectionListener = {
    onConnected: () => agent.onConnected(),
    onFrame: (frame) => void agent.onFrame(frame),
  };
  const mark = process.env.AGENT_ATTACH_MARK;
  const connection: AgentConnection = mark
    ? new AttachConnection(Buffer.from(mark), listener)
    : new Connection(SOCKET, listener);
  connection.start();
  if (process.env.AGENT_EGRESS) startEgressRelay(EGRESS_SOCKET);
};

void main();
