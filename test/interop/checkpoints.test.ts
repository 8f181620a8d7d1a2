import { expect } from "chai";
import { failureOf, type ToolClient } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";

type Structured = Record<string, unknown>;

describe("Checkpoints", () => {
  const cluster = useCluster();
  let client: ToolClient;
  let session_id: unknown;
  cluster.withSession(
    (...own) => {
      [client, session_id] = own;
    },
    { env: { TOKEN: "t" }, memory_mb: 256 },
  );

  const call = async (name: string, args: Structured = {}): Promise<Structured> => {
    const answer = await client.call(name, { session_id, ...args });
    if (answer.isError) throw new Error(`${name}: ${answer.text}`);
    return answer.structured;
  };
  const run = async (command: string, args: Structured = {}) =>
    (await call("run_command", { command, ...args })).stdout;
  const codeOf = async (name: string, args: Structured) => failureOf(await client.call(name, { session_id, ...args }));

  it("are created with a name, listed, restored with all else undone, and deleted", async () => {
    await run("echo one > a; mkdir d; echo x > d/x; chmod 700 d; echo home > ~/.profile-mark");
    const created = await call("create_checkpoint", { name: "first" });
    expect(created).to.include({ name: "first", files: 3 });
    const { checkpoint_id } = created;
    const written = { path: "a", content: "two", idempotency_key: "later" };
    await call("write_file", written);
    await run("rm -r d ~/.profile-mark; echo new > new");
    await call("run_command", { command: "sleep 1000", background: true });
    expect(await call("restore_checkpoint", { checkpoint_id })).to.include({ processes_ended: 1, files: 3 });
    expect(await run("cat a d/x ~/.profile-mark; stat -c %a d; ls")).to.equal("one\nx\nhome\n700\na\nd\n");
    expect((await call("write_file", written)).effects_lost, "what was undone is not told as done").to.equal(true);

    const { checkpoints } = await call("list_checkpoints");
    const [newest, named] = checkpoints as Structured[];
    expect(newest).to.include({ session_id }).and.to.not.have.property("name");
    expect(named).to.include({ checkpoint_id, name: "first" });
    expect((await call("get_session")).checkpoints).to.include(checkpoint_id);
    expect(await call("delete_checkpoint", { checkpoint_id })).to.deep.equal({ deleted: true });
    for (const name of ["delete_checkpoint", "restore_checkpoint"])
      expect(await codeOf(name, { checkpoint_id }), name).to.equal("NOT_FOUND");
    expect(await codeOf("create_session", { session_id: undefined, from_checkpoint: checkpoint_id })).to.equal(
      "NOT_FOUND",
    );
  });

  it("make new sessions with the same settings, as they are now, repeated safely", async () => {
    await run("echo forked > fork");
    const args = { count: 2, idempotency_key: "fork" };
    const { session_ids, checkpoint_id } = await call("fork_session", args);
    expect(session_ids).to.have.length(2);
    expect((await call("fork_session", args)).session_ids).to.deep.equal(session_ids);
    for (const fork of session_ids as string[]) {
      expect(await run("cat fork; echo $TOKEN; echo mine > fork", { session_id: fork })).to.equal("forked\nt\n");
      expect((await call("get_session", { session_id: fork })).limits).to.include({ memory_mb: 256 });
    }
    expect(await run("cat fork"), "each has its own").to.equal("forked\n");
    await call("delete_checkpoint", { checkpoint_id });
    for (const fork of session_ids as string[]) await call("close_session", { session_id: fork });
  });

  it("begin new sessions also after their own was closed", async () => {
    const first = (await client.call("create_session")).structured.session_id;
    await run("echo kept > kept", { session_id: first });
    const { checkpoint_id } = await call("create_checkpoint", { session_id: first });
    await call("close_session", { session_id: first });
    const { checkpoints } = await call("list_checkpoints", { session_id: first });
    expect((checkpoints as Structured[]).map((one) => one.checkpoint_id)).to.include(checkpoint_id);
    const made = await client.call("create_session", { from_checkpoint: checkpoint_id });
    const second = made.structured.session_id;
    expect(await run("cat kept", { session_id: second })).to.equal("kept\n");
    await call("close_session", { session_id: second });
    await call("delete_checkpoint", { checkpoint_id });
  });

  it("of nobody, or malformed, are not found", async () => {
    for (const checkpoint_id of ["x", "ckpt_0000000000000000_00000000", "../../etc", "call_0000000000000000_00000000"])
      for (const name of ["restore_checkpoint", "delete_checkpoint", "fork_session"])
        expect(await codeOf(name, { checkpoint_id }), name).to.equal("NOT_FOUND");
    for (const unknown of ["x", "ses_00000000000000000000000000"])
      expect(await codeOf("list_checkpoints", { session_id: unknown })).to.equal("SESSION_NOT_FOUND");
  });
});
