import { connectModern, type ToolAnswer, type ToolClient } from "./tool-client.ts";
import { useCluster } from "./use-cluster.ts";

type Structured = Record<string, unknown>;

/** What tests of `run_code` do with one session. It has few interpreters: the tests of a describe share one. */
export const useInterpreters = () => {
  const cluster = useCluster();
  let client: ToolClient;
  let session_id: unknown;
  before(async () => {
    client = await connectModern(cluster.url);
  });
  cluster.beforeStop(() => client.close());
  const openSession = async (): Promise<void> => {
    session_id = (await client.call("create_session")).structured.session_id;
  };
  const closeSession = async (): Promise<unknown> => await client.call("close_session", { session_id });
  const call = async (language: string, code: string, more: Structured = {}): Promise<ToolAnswer> =>
    await client.call("run_code", { session_id, language, code, wait_ms: 50_000, ...more });
  const run = async (language: string, code: string, more: Structured = {}): Promise<Structured> =>
    (await call(language, code, more)).structured;
  const stop = async (language: string, more: Structured): Promise<Structured> =>
    (await client.call("run_code", { session_id, language, ...more })).structured;
  const python = async (code: string, more: Structured = {}) => await run("python", code, more);
  return {
    ...{ openSession, closeSession, call, run, stop, python },
    get client(): ToolClient {
      return client;
    },
    get session_id(): unknown {
      return session_id;
    },
  };
};
