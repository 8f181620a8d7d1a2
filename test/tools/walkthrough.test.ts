import { readFile, writeFile } from "node:fs/promises";
import { expect } from "chai";
import Docker from "dockerode";
import { VERSION } from "../../shared/version.ts";
import { connectModern, type ToolAnswer, type ToolClient } from "../support/tool-client.ts";
import { Transcript } from "../support/transcript.ts";
import { useCluster } from "../support/use-cluster.ts";
import { type Project, patchOf, projects } from "./walkthrough-projects.ts";

const PACKED = "project.tar.gz";
const FILE = "docs/walkthrough.md";
/** `UPDATE_WALKTHROUGH=1` writes the file instead of comparing with it. */
const isUpdate = process.env.UPDATE_WALKTHROUGH === "1";
/** A first build of a Go program can take minutes on a machine that is busy with all our other tests. */
const TESTS_MS = 600_000;
const INTRODUCTION = `An agent mends a small project, over MCP alone: what it calls, and the text that it gets. \`npm run test:tools\` does all of
this again and compares; \`UPDATE_WALKTHROUGH=1\` writes this file. Ids, times and durations are shown as …`;

/** A section of the file, from its heading to the next one's. */
const sectionOf = (text: string, heading: string): string => {
  const from = text.indexOf(`## ${heading}\n`);
  const to = text.indexOf("\n## ", from + 1);
  return from < 0 ? "" : `${text.slice(from, to < 0 ? undefined : to).trimEnd()}\n`;
};

describe("A real task, over MCP alone,", () => {
  const cluster = useCluster();
  const sections: string[] = [];
  let client: ToolClient;
  before(async () => {
    client = await connectModern(cluster.url);
  });
  cluster.beforeStop(() => client.close());
  after(async () => {
    const whole = [`# A walk through codegen-mcp\n\n${INTRODUCTION}\n`, ...sections].join("\n");
    if (isUpdate && sections.length === projects.length) await writeFile(FILE, whole);
  });

  const isBuilt = async (image: string): Promise<boolean> => {
    const all = await new Docker().listImages();
    return all.some(({ RepoTags }) => RepoTags?.includes(`codegen-mcp/${image}:${VERSION}`));
  };

  /** On a slow machine a call may outlive its wait: then its own answer comes by get_call. */
  const finished = async (answer: ToolAnswer): Promise<ToolAnswer> => {
    const { status, call_id } = answer.structured;
    if (status !== "running" && status !== "queued") return answer;
    const later = await client.call("get_call", { call_id, wait_ms: 50_000 });
    if (later.structured.state !== "done") return await finished(answer);
    const structured = later.structured.result as Record<string, unknown>;
    return { ...later, structured, text: later.text.slice(later.text.indexOf("\n") + 1) };
  };

  const walk = async (project: Project): Promise<string> => {
    const transcript = new Transcript();
    let session_id: unknown;
    const call = async (name: string, args: Record<string, unknown>): Promise<ToolAnswer> => {
      const answer = await finished(await client.call(name, { ...(session_id ? { session_id } : {}), ...args }));
      expect(answer.isError, `${name}: ${answer.text}`).to.equal(false);
      transcript.call(name, args, answer);
      return answer;
    };
    const run = (command: string): Promise<ToolAnswer> => call("run_command", { command });

    transcript.heading(2, project.title);
    ({ session_id } = (await call("create_session", { image: project.image })).structured);
    transcript.say("The project comes as a patch, and is committed.");
    await call("apply_patch", { patch: patchOf(project) });
    await run("git init -q && git add -A && git commit -qm Start && git ls-files");
    const { checkpoint_id: since } = (await call("create_checkpoint", { name: "start" })).structured;
    transcript.say("A test fails.");
    const failing = await call("run_tests", { timeout_ms: TESTS_MS });
    expect(failing.structured.summary).to.deep.include({ total: project.tests, failed: 1 });
    transcript.say("Where is it?");
    await call("search_files", project.search);
    await call("read_file", project.read);
    transcript.say("Mend it.");
    await call("edit_file", project.edit);
    transcript.say("The tests pass.");
    const passing = await call("run_tests", { timeout_ms: TESTS_MS });
    expect(passing.structured.summary).to.deep.include({ total: project.tests, passed: project.tests });
    transcript.say("What changed since the checkpoint?");
    const diff = await call("diff_workspace", { since });
    expect(diff.structured.stat).to.deep.include({ files: 1 });
    await run("git diff --stat && git commit -qam Mend && git status --short");
    transcript.say("The project, packed, for whoever asked: the file goes by the URL, past the model.");
    await run(`git archive -o ${PACKED} HEAD && tar -tzf ${PACKED}`);
    const { url, size_bytes } = (await call("get_artifact", { path: PACKED })).structured;
    const packed = Buffer.from(await (await fetch(String(url))).arrayBuffer());
    expect(packed.length).to.equal(size_bytes);
    expect(packed.subarray(0, 2).toString("hex"), "a gzip file").to.equal("1f8b");
    await call("close_session", { session_id });
    return transcript.toString();
  };

  for (const project of projects) {
    it(`is done in the image ${project.image}, as ${FILE} shows`, async function () {
      this.timeout(900_000);
      if (!(await isBuilt(project.image))) return this.skip(); // the larger images are built where they are asked for
      const section = await walk(project);
      sections.push(section);
      if (!isUpdate) expect(section).to.equal(sectionOf(await readFile(FILE, "utf8"), project.title));
    });
  }
});
