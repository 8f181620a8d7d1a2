import type { Logger } from "pino";
import { PeriodicService } from "../../shared/periodic-service.ts";
import type { SandboxHost } from "../sandbox/sandbox-host.ts";
import { StateFolder } from "./state-folder.ts";
import type { Takeover } from "./takeover.ts";

const EVERY_MS = 1_000;
/** How long a place is kept for the worker that replaces the one which left it: a container is made anew in less. */
const KEPT_MS = 5_000;

/**
 * Takes over what another worker of this host handed over and nobody came for: it was not restarted but scaled away. Not
 * what a killed one had: there the records decide.
 */
export class LeftPlaces extends PeriodicService {
  constructor(
    private readonly deps: {
      host: SandboxHost;
      /** How many more sessions this worker may take now. */
      room: () => number;
      takeover: Takeover;
      log: Logger;
    },
    private readonly root: string,
  ) {
    super("left places", EVERY_MS, deps.log);
  }

  protected override async pass(): Promise<void> {
    const { host, room, takeover } = this.deps;
    const engine = host.present?.engineId;
    if (engine === undefined || room() <= 0) return;
    const place = await StateFolder.takeLeft(this.root, { engine, forMs: KEPT_MS });
    if (!place) return;
    try {
      // Told before it is so: who comes later must not take containers that are ours by then for left ones.
      let entries = (await place.read()).map((entry) => ({ ...entry, isParted: true }));
      await place.write(entries);
      for (const { worker } of entries.filter((entry) => entry.engine === engine)) {
        if (!(await takeover.takeFrom(worker, room()))) break;
        entries = entries.filter((entry) => entry.worker !== worker);
        await place.write(entries);
      }
    } finally {
      place.release();
    }
  }
}
