import { expect } from "chai";
import { toolList } from "../../shared/catalog/index.ts";
import { PromptKitClient } from "../support/promptkit-client.ts";
import { connectSse, PromptKitSseClient } from "../support/sse-client.ts";
import { connectAuto, connectModern, connectV1, type ToolClient } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { demoSession } from "./demo-session.ts";

type Connect = (url: string) => Promise<ToolClient>;
const CLIENTS: [who: string, protocol: string, connect: Connect][] = [
  ["the 2.x client pinned to 2026-07-28", "2026-07-28", connectModern],
  ["the 2.x client that negotiates", "2026-07-28", connectAuto],
  ["the v1 SDK's client", "2025-11-25", connectV1],
  ["PromptKit's habits on the wire", "2025-06-18", (url) => PromptKitClient.connect(url)],
  ["the v1 SDK's client over HTTP+SSE", "2025-11-25", connectSse],
  ["PromptKit's default transport", "2025-06-18", (url) => PromptKitSseClient.connect(url)],
];

describe("An agent's session through two replicas without affinity", () => {
  const cluster = useCluster();
  for (const [who, protocol, connect] of CLIENTS) {
    it(`works with ${who}`, async () => {
      const client = await connect(cluster.url);
      cluster.beforeStop(() => client.close()); // a stream that is left open would keep mocha from ending
      expect(client.protocol).to.equal(protocol);
      expect(await client.toolNames()).to.deep.equal(toolList([]).map(({ name }) => name));
      await demoSession(client);
    });
  }
});
