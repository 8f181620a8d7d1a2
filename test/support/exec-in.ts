import type Docker from "dockerode";
import { CONTAINER_PATHS } from "../../worker/sandbox/container-spec.ts";

/** Runs a command in a container's workspace by `docker exec`, past the product. @returns what it wrote */
export const execIn = async (container: Docker.Container, command: string): Promise<string> => {
  const exec = await container.exec({
    Cmd: ["bash", "-c", command],
    WorkingDir: CONTAINER_PATHS.workdir,
    AttachStdout: true,
    Tty: true, // one plain stream
  });
  const stream = await exec.start({ Tty: true });
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString().replaceAll("\r\n", "\n");
};
