import { expect } from "chai";
import { connectModern, type ToolClient } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";

const TOKEN = `ghp_${"Ab1".repeat(12)}`;
const STARS = `ghp_${"*".repeat(36)}`;
/** Writes it in two parts, so that no chunk has the whole. */
const IN_PARTS = `printf 'a %s' ${TOKEN.slice(0, 24)}; sleep 0.2; printf '%s z\\n' ${TOKEN.slice(24)}`;

describe("Secrets in output", () => {
  const cluster = useCluster();
  let client: ToolClient;
  let session_id: unknown;
  cluster.withSession((...own) => {
    [client, session_id] = own;
  });

  it("are masked in a result, as it is told and as it is recorded, with all lengths as they were", async () => {
    const told: string[] = [];
    const args = { session_id, command: `${IN_PARTS}; echo ${TOKEN} >&2` };
    const { structured } = await client.call("run_command", args, { onText: (text) => void told.push(text) });
    expect(structured).to.include({ stdout: `a ${STARS} z\n`, stderr: `${STARS}\n` });
    expect(told.join("")).to.include(STARS).and.not.include("Ab1Ab1");
    const { process_id } = structured;
    const page = (await client.call("read_process", { process_id })).structured;
    expect(page.output).to.equal(`a ${STARS} z\n${STARS}\n`);
  });

  it("are masked in the value of code", async () => {
    const { structured } = await client.call("run_code", { session_id, language: "python", code: `"${TOKEN}"` });
    expect(structured.result).to.equal(`'${STARS}'`);
  });

  it("are masked in the report of a failed test", async () => {
    const content = `def test_x():\n    token = "gh" + "p_${TOKEN.slice(4)}"\n    assert token == "x"\n`;
    await client.call("write_file", { session_id, path: "test_x.py", content });
    const { structured } = await client.call("run_tests", { session_id, wait_ms: 50_000 });
    const text = JSON.stringify(structured);
    expect(text).to.include("ghp_***").and.not.include(TOKEN);
  });

  it("stay in files: who edits them needs what stands there", async () => {
    await client.call("write_file", { session_id, path: "token", content: TOKEN });
    expect((await client.call("read_file", { session_id, path: "token" })).structured.content).to.equal(TOKEN);
  });
});

describe("Secrets in output, where the operator wants them shown,", () => {
  const cluster = useCluster({ MASK_SECRETS: "false" });

  it("are shown", async () => {
    const client = await connectModern(cluster.url);
    const { structured } = await client.call("run_command", { command: IN_PARTS });
    expect(structured.stdout).to.equal(`a ${TOKEN} z\n`);
    await client.close();
  });
});
