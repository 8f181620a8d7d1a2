import { expect } from "chai";
import Docker from "dockerode";
import { hasImage } from "../../scripts/images/base-image.ts";
import { eventually } from "../support/eventually.ts";
import { connectModern, failureOf, type ToolAnswer, type ToolClient } from "../support/tool-client.ts";
import { removeContainer, useCluster } from "../support/use-cluster.ts";

/** What the sandbox images are built from, one of the two: no Python, no Node.js, no user of ours. */
const BARE = ["debian:bookworm-slim", "codegen-mcp/base:bookworm"];

const docker = new Docker();
const hasRemote = await hasImage(docker, BARE[0]!).catch(() => false);

describe("Images of sessions", function () {
  this.timeout(120_000);
  const images = `bare=${hasRemote ? BARE[0] : BARE[1]},absent=codegen-mcp/absent:0`;
  const cluster = useCluster({ POOL_SIZE: "1", SANDBOX_IMAGES: images });
  let client: ToolClient;
  before(async () => {
    client = await connectModern(cluster.url);
  });
  after(() => client.close());

  /** A container that starts cold may take longer than the call waits. */
  const create = async (image?: string): Promise<ToolAnswer> => {
    const answer = await client.call("create_session", image === undefined ? {} : { image });
    if (answer.structured.status !== "running") return answer;
    const { structured } = await client.call("get_call", { call_id: answer.structured.call_id, wait_ms: 50_000 });
    return { ...answer, structured: structured.result as Record<string, unknown> };
  };
  const run = async (session_id: unknown, command: string) =>
    (await client.call("run_command", { session_id, command })).structured;

  it("are python where none is named", async () => {
    const { structured } = await create();
    expect(structured.image).to.equal("python");
    expect(await run(structured.session_id, "python --version")).to.include({ exit_code: 0 });
  });

  it("may be one's own: the agent brings all that it needs", async () => {
    const { structured } = await create("bare");
    expect(structured).to.include({ image: "bare", workdir: "/home/dev/workspace" });
    const sid = structured.session_id;
    const written = await client.call("write_file", { session_id: sid, path: "a.txt", content: "here\n" });
    expect(written.isError, written.text).to.equal(false);
    expect(await run(sid, "id -u; cat a.txt; command -v python node")).to.include({ stdout: "1000\nhere\n" });
    expect((await client.call("get_session", { session_id: sid })).structured.image).to.equal("bare");
  });

  it("stay the same when the container is lost", async () => {
    const { session_id: sid } = (await create("bare")).structured;
    await removeContainer(await cluster.containerOf(sid));
    const answer = await eventually("the session goes on", async () => {
      const { structured } = await client.call("run_command", { session_id: sid, command: "command -v python" });
      return structured.status === "exited" && structured;
    });
    expect(answer).to.include({ exit_code: 1 });
    expect((await client.call("get_session", { session_id: sid })).structured.image).to.equal("bare");
  });

  it("are refused by name, with the names there are", async () => {
    const answer = await create("perl");
    expect(failureOf(answer)).to.equal("IMAGE_NOT_FOUND");
    expect(answer.structured.retryable).to.equal(false);
    expect(answer.text).to.match(/There is no image "perl".* python, node, polyglot, bare, absent/);
  });

  it("are refused when the host does not have them", async () => {
    const answer = await create("absent");
    expect(failureOf(answer)).to.equal("IMAGE_NOT_FOUND");
    expect(answer.text).to.include('"absent" is not on this worker');
  });

  it("have plain names", async () => {
    for (const image of ["", "../python", "a b", "python:latest", "x".repeat(64)])
      expect(failureOf(await create(image)), image).to.equal("INVALID_ARGUMENT");
  });
});
