import { setTimeout as sleep } from "node:timers/promises";
import type { SessionId } from "../../shared/ids.ts";
import type { Fault } from "./fault-log.ts";
import type { SessionLedger } from "./ledger.ts";
import type { Random } from "./random.ts";
import type { ChaosWorld, WorkerPart } from "./world.ts";

export interface Scene {
  world: ChaosWorld;
  ledgers: readonly SessionLedger[];
  random: Random;
  /** Writes the fault down, at the moment that it is made. */
  note(what: string, sessions?: Iterable<SessionId>): Fault;
}

export interface FaultKind {
  name: string;
  /** `alone`: it is measured, so nothing else may be broken meanwhile. `big`: one at a time. `small`: beside a big one. */
  size: "alone" | "big" | "small";
  /** Why this machine cannot have it. */
  problem?(world: ChaosWorld): string | undefined;
  /** Resolves when the cause is over, not when all have got over it. */
  make(scene: Scene): Promise<void>;
}

/** Past the lease of 9 s: the sessions go to others, and the worker must find that out when it goes on. */
const STOPPED_MS = 11_000;
const AWAY_MS = 20_000;
/** When the kernel of a peer that nobody reaches would give up. */
const SILENT_MS = 15_000;
const RESTART_MS = 300;

const sessionsOf = async ({ world, ledgers }: Scene, worker: WorkerPart): Promise<SessionId[]> => {
  const owners = await Promise.all(ledgers.map(({ id }) => world.ownerOf(id)));
  return ledgers.filter((_, i) => owners[i] === worker.incarnation).map(({ id }) => id);
};

/** The worker with most sessions. */
const fullestWorker = async (scene: Scene): Promise<{ worker: WorkerPart; sessions: SessionId[] }> => {
  const all = await Promise.all(
    scene.world.workers.map(async (worker) => ({ worker, sessions: await sessionsOf(scene, worker) })),
  );
  all.sort((a, b) => b.sessions.length - a.sessions.length);
  return all[0]!;
};

/** A session that runs a call now, where there is one. */
const busySession = ({ ledgers, random }: Scene): SessionLedger =>
  random.pick(ledgers.filter(({ running }) => running)) ?? random.pick(ledgers)!;

const workerKilled: FaultKind = {
  name: "worker_sigkill",
  size: "alone",
  make: async (scene) => {
    const { worker, sessions } = await fullestWorker(scene);
    scene.note(`${worker.name} with ${sessions.length} sessions`, sessions);
    worker.process.signal("SIGKILL");
    await worker.process.exited;
    await scene.world.forgetWorker(worker);
    await scene.world.startWorker(worker.engine);
  },
};

const workerStopped: FaultKind = {
  name: "worker_sigstop",
  size: "big",
  make: async (scene) => {
    const worker = scene.random.pick(scene.world.workers)!;
    scene.note(`${worker.name} for ${STOPPED_MS / 1000} s`, await sessionsOf(scene, worker));
    worker.process.signal("SIGSTOP");
    await sleep(STOPPED_MS);
    worker.process.signal("SIGCONT");
  },
};

const coordinatorKilled: FaultKind = {
  name: "coordinator_sigkill",
  size: "alone",
  make: async ({ world, random, note }) => {
    const coordinator = random.pick(world.coordinators)!;
    note(coordinator.name);
    coordinator.httpLink.refuse();
    coordinator.process.signal("SIGKILL");
    await coordinator.process.exited;
    await sleep(RESTART_MS);
    await world.restartCoordinator(coordinator);
    await coordinator.httpLink.accept();
  },
};

const agentKilled: FaultKind = {
  name: "agent_kill",
  size: "small",
  make: async (scene) => {
    const { id } = busySession(scene);
    const container = await scene.world.containerOf(id);
    if (!container) return;
    const { Processes } = (await container.top({ ps_args: "-eo pid,args" })) as { Processes: string[][] };
    const agent = Processes.find(([, args]) => args?.includes("agent.cjs") && !args.includes("supervise"));
    if (!agent) return;
    scene.note(id, [id]);
    process.kill(Number(agent[0]), "SIGKILL");
  },
};

const containerRemoved: FaultKind = {
  name: "container_remove",
  size: "small",
  make: async (scene) => {
    const { id } = busySession(scene);
    const container = await scene.world.containerOf(id);
    if (!container) return;
    scene.note(id, [id]);
    await container.remove({ force: true });
  },
};

const engineRestarted: FaultKind = {
  name: "dockerd_restart",
  size: "big",
  problem: ({ engine, engineProblem }) => (engine ? undefined : `no engine of this run's own: ${engineProblem}`),
  make: async (scene) => {
    const { engine, workers } = scene.world;
    const its = workers.filter((worker) => worker.engine === engine);
    scene.note("the engine of one worker", (await Promise.all(its.map((worker) => sessionsOf(scene, worker)))).flat());
    await engine?.restart();
  },
};

const redisKilled: FaultKind = {
  name: "redis_sigkill",
  size: "big",
  make: async ({ world, note }) => {
    const { redis } = world.stack;
    note("Redis");
    redis.signal("SIGKILL");
    await sleep(RESTART_MS);
    await redis.start();
  },
};

const redisAway: FaultKind = {
  name: "redis_away",
  size: "big",
  make: async ({ world, note }) => {
    const links = [...world.coordinators, ...world.workers].map(({ redisLink }) => redisLink);
    note(`for ${AWAY_MS / 1000} s`);
    for (const link of links) link.close();
    await sleep(AWAY_MS);
    for (const link of links) link.open();
  },
};

const connectionsCut: FaultKind = {
  name: "connections_cut",
  size: "small",
  make: async ({ world, random, note }) => {
    const chosen = random.shuffled(world.links).slice(0, 3);
    note(chosen.map(({ name }) => name).join(", "));
    for (const { link } of chosen) link.cut();
  },
};

const connectionsHalfOpen: FaultKind = {
  name: "connections_half_open",
  size: "small",
  make: async ({ world, random, note }) => {
    const { name, link } = random.pick(world.links.filter((each) => each.link.connections > 0))!;
    const silent = link.silence();
    note(`${name}, ${silent.count} connections`);
    await sleep(SILENT_MS);
    silent.end();
  },
};

export const FAULT_KINDS: readonly FaultKind[] = [
  workerKilled,
  workerStopped,
  coordinatorKilled,
  agentKilled,
  containerRemoved,
  engineRestarted,
  redisKilled,
  redisAway,
  connectionsCut,
  connectionsHalfOpen,
];
