import { setTimeout as sleep } from "node:timers/promises";
import { LABELS } from "../../worker/sandbox/container-spec.ts";
import type { ChaosWorld } from "./world.ts";

/** What the sweepers get, from when the last session was closed, to find what killed workers left. */
const SWEEP_MS = 45_000;
const POLL_MS = 500;

/** The agent's files, named by their content: kept for the next worker on that engine, of whatever deployment. */
const AGENT_VOLUME = "codegen-mcp-agent-";

const labelOf = (world: ChaosWorld): string => `${LABELS.deployment}=${world.deployment}`;

/** While the processes still run: containers that no live worker answers for, once the sweepers had their time. */
export const unsweptContainers = async (world: ChaosWorld): Promise<string[]> => {
  const until = performance.now() + SWEEP_MS;
  for (;;) {
    const alive = new Set(world.workers.map(({ incarnation }) => incarnation));
    const all = await containers(world);
    const left = all.filter(({ worker }) => !alive.has(worker)).map(({ name, worker }) => `${name} of ${worker}`);
    if (left.length === 0 || performance.now() > until) return left;
    await sleep(POLL_MS);
  }
};

/** After every process stopped: whatever bears the run's label, and whatever Redis holds that will not go by itself. */
export const leftovers = async (world: ChaosWorld): Promise<string[]> => [
  ...(await containers(world)).map(({ name }) => `container ${name}`),
  ...(await networksAndVolumes(world)),
  ...(await keysLeft(world)),
];

const containers = async (world: ChaosWorld): Promise<{ name: string; worker: string }[]> => {
  const filters = { label: [labelOf(world)] };
  const lists = await Promise.all(world.engines.map((docker) => docker.listContainers({ all: true, filters })));
  return lists.flat().map(({ Names, Labels }) => ({ name: Names[0] ?? "", worker: Labels[LABELS.worker] ?? "" }));
};

const networksAndVolumes = async (world: ChaosWorld): Promise<string[]> => {
  const filters = { label: [labelOf(world)] };
  const found = await Promise.all(
    world.engines.map(async (docker) => {
      const networks = await docker.listNetworks({ filters });
      const { Volumes } = await docker.listVolumes({ filters: JSON.stringify(filters) as never });
      return [
        ...networks.map(({ Name }) => `network ${Name}`),
        ...(Volumes ?? []).map(({ Name }) => `volume ${Name}`).filter((each) => !each.includes(AGENT_VOLUME)),
      ];
    }),
  );
  return found.flat();
};

/** Of sessions that ended, workers that are gone, and their queues. Keys that expire are on their way. */
const keysLeft = async ({ redis }: ChaosWorld): Promise<string[]> => {
  const left: string[] = [];
  for (const pattern of ["cg:{ses_*", "cg:worker:*", "cg:workers", "{cgq}:calls-*", "cg:{place}:q:*"]) {
    let cursor = "0";
    do {
      const [next, keys] = await redis.scan(cursor, "MATCH", pattern, "COUNT", 1_000);
      cursor = next;
      for (const key of keys) if ((await redis.ttl(key)) === -1) left.push(`key ${key}`);
    } while (cursor !== "0");
  }
  return [...new Set(left)];
};
