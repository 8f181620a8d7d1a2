import { parseConfig } from "../../coordinator/config.ts";
import { Coordinator } from "../../coordinator/coordinator.ts";
import { eventually } from "./eventually.ts";
import { silentLog } from "./silent-log.ts";
import { send } from "./wire.ts";

/** A coordinator in this process, that is ready. Whoever starts it stops it. */
export const startCoordinator = async (env: Record<string, string>): Promise<Coordinator> => {
  const coordinator = new Coordinator(parseConfig({ PORT: "0", ...env }), silentLog);
  await coordinator.start();
  const readyz = `${coordinator.url}/readyz`;
  await eventually("the coordinator is ready", async () => (await send(readyz, { method: "GET" })).status === 200);
  return coordinator;
};
