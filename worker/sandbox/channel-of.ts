import type { AgentChannel } from "./agent-channel.ts";
import { AttachChannel } from "./attach-channel.ts";
import { CONTAINER_PATHS } from "./container-spec.ts";
import type { ContainerState, Engine } from "./engine.ts";
import { SocketChannel } from "./socket-channel.ts";

/** The way to the agent of a container that an earlier worker made, as the container itself tells it. */
export const channelOf = (engine: Engine, { id, env, binds }: ContainerState): AgentChannel | undefined => {
  const socketFolder = binds[CONTAINER_PATHS.run];
  if (socketFolder) return new SocketChannel(socketFolder);
  const mark = env.find((variable) => variable.startsWith("AGENT_ATTACH_MARK="))?.split("=")[1];
  return mark ? new AttachChannel(engine, id, mark) : undefined;
};
