import type { CallId } from "../../shared/ids.ts";
import { keys } from "../../shared/redis/keys.ts";
import { FencedError, SessionScripts } from "../../shared/redis/session-scripts.ts";
import { VERSION } from "../../shared/version.ts";
import { LABELS } from "../../worker/sandbox/container-spec.ts";
import { eventually } from "../support/eventually.ts";
import { execIn } from "../support/exec-in.ts";
import type { Figures } from "./figures.ts";
import { EFFECTS_FILE, type ScriptedSession } from "./scripted-session.ts";
import type { ChaosWorld } from "./world.ts";

/** A bug that the harness makes itself, past the product, to show that its checks see such a bug. */
export interface Plant {
  /** After the work and before the checks, or once every process has stopped. */
  when: "worked" | "stopped";
  /** The figure that must not stay 0. */
  shows: keyof Figures;
  /** @returns what was done */
  make(world: ChaosWorld, sessions: readonly ScriptedSession[]): Promise<string>;
}

const run = async (world: ChaosWorld, session: ScriptedSession, command: string): Promise<void> => {
  const container = await world.containerOf(session.ledger.id);
  if (!container) throw new Error(`session ${session.ledger.id} has no container to plant a bug in`);
  await execIn(container, command);
};

/** The n-th session that promised to keep its effects, and the last line that its client was told of. */
const victimOf = (sessions: readonly ScriptedSession[], n: number): { session: ScriptedSession; line: string } => {
  const kept = sessions.filter(({ ledger }) => ledger.durability !== "idle");
  const session = kept[n];
  const last = session?.ledger.acknowledged.findLast(({ tool, isExcused }) => tool === "run_command" && !isExcused);
  if (!session || !last) throw new Error("no session has an effect to spoil");
  return { session, line: `${session.ledger.token} ${last.number}` };
};

/** A call that was told as unknown gets an end after all, from an owner that was fenced. */
const writeLate = async (world: ChaosWorld, sessions: readonly ScriptedSession[]): Promise<string> => {
  const session = sessions.at(-1)!;
  const { ledger } = session;
  const { redis } = world;
  const epoch = Number(await redis.hget(keys.session(ledger.id), "epoch"));
  const lease = { worker: await world.ownerOf(ledger.id), epoch };
  const unknown = session.append(60);
  const key = ledger.running?.key ?? "";
  const callId = (await eventually("the call runs", async () => {
    const id = await redis.hget(`${keys.session(ledger.id)}:keys`, key);
    return id && (await redis.hget(keys.call(ledger.id, id as CallId), "state")) === "running" ? id : undefined;
  })) as CallId;
  await (await world.containerOf(ledger.id))?.remove({ force: true });
  await unknown;
  const outcome = JSON.stringify({ result: { status: "exited", exit_code: 0, stdout: "late\n" } });
  const end = { callId, state: "done" as const, outcome, event: Buffer.alloc(0) };
  const isFenced = await new SessionScripts(redis).finish(ledger.id, lease, end).then(
    () => false,
    (error: unknown) => error instanceof FencedError,
  );
  await redis.hset(keys.call(ledger.id, callId), { state: "done", outcome });
  return `an end of ${callId} in its old epoch (the script ${isFenced ? "refused it, so" : "took it, and"} it was written past it)`;
};

const startOrphan = async (world: ChaosWorld): Promise<string> => {
  const container = await world.docker.createContainer({
    Image: `codegen-mcp/python:${VERSION}`,
    Entrypoint: ["sleep", "600"],
    Labels: { [LABELS.deployment]: world.deployment, [LABELS.worker]: "w_planted" },
    HostConfig: { NetworkMode: "none" },
  });
  await container.start();
  return `container ${container.id.slice(0, 12)} of a worker that never was`;
};

export const PLANTS: Record<string, Plant> = {
  "double-start": {
    when: "worked",
    shows: "effects_more_than_once",
    make: async (world, sessions) => {
      const { session, line } = victimOf(sessions, 0);
      await run(world, session, `echo "${line}" >> ${EFFECTS_FILE}`);
      return `"${line}" a second time`;
    },
  },
  "lost-effect": {
    when: "worked",
    shows: "acknowledged_effects_missing",
    make: async (world, sessions) => {
      const { session, line } = victimOf(sessions, 1);
      await run(world, session, `sed -i '/^${line}$/d' ${EFFECTS_FILE}`);
      return `"${line}" taken away`;
    },
  },
  "late-write": { when: "worked", shows: "late_writes", make: writeLate },
  orphan: { when: "stopped", shows: "orphans", make: startOrphan },
  "cross-session": {
    when: "worked",
    shows: "wrong_session_deliveries",
    make: async (world, sessions) => {
      const { session, line } = victimOf(sessions, 2);
      const other = sessions.find((each) => each !== session)!;
      await run(world, other, `echo "${line}" >> ${EFFECTS_FILE}`);
      return `"${line}" in the file of ${other.ledger.token}`;
    },
  },
};
