import { renderChecks, renderTests } from "./render-checks.ts";
import { renderPackages } from "./render-packages.ts";

type Structured = Record<string, unknown>;
type Render = (result: Structured) => string;

const seconds = (ms: unknown): string => (typeof ms === "number" ? ` in ${(ms / 1000).toFixed(2)} s` : "");
const block = (name: string, text: unknown): string => (text ? `\n--- ${name} ---\n${text}` : "");

const END: Record<string, (r: Structured) => string> = {
  exited: (r) => `exit code ${r.exit_code}`,
  timed_out: () => "timed out; the whole process tree was killed",
  killed: (r) => `killed${r.signal ? ` by ${r.signal}` : ""}`,
  lost: () => "lost with its container",
  running: (r) => `running as ${r.process_id}`,
};
const end = (r: Structured): string => (END[String(r.status)]?.(r) ?? String(r.status)) + seconds(r.duration_ms);

const lossy = (r: Structured): string => (r.lossy ? "; bytes that are no UTF-8 are shown as U+FFFD" : "");
const evicted = (r: Structured): string => {
  if (!r.evicted_before) return "";
  const where = r.log_path ? `, but stands in ${r.log_path} (64 MiB at most)` : "";
  return `; what came before byte ${r.evicted_before} is no longer kept here${where}`;
};

const command: Render = (r) =>
  `${end(r)}${r.status === "running" ? "; follow it with read_process" : ""}${lossy(r)}${block("stdout", r.stdout)}${block("stderr", r.stderr)}`;

const rows = (list: unknown, line: (row: Structured) => string, none: string): string =>
  Array.isArray(list) && list.length > 0 ? (list as Structured[]).map(line).join("\n") : none;
const more = (r: Structured): string => (r.truncated ? "\n(more were left out; raise limit)" : "");
const session = (s: Structured): string =>
  `${s.session_id}  ${s.state}${s.workdir ? `  ${s.workdir}` : ""}  expires ${s.expires_at}`;

const match = ({ path, line, text, context, count }: Structured): string =>
  line === undefined
    ? `${path}${count === undefined ? "" : `: ${count}`}`
    : `${path}${context ? "-" : ":"}${line}${context ? "-" : ":"}${text}`;

const saved = (c: Structured): string =>
  `${c.checkpoint_id}${c.name ? ` "${c.name}"` : ""}  ${c.files} files, ${c.size_bytes} bytes`;

/** What a model reads of each tool's result; the structured result stands beside it. */
const RENDER: Record<string, Render> = {
  create_session: (r) => `Session ${r.session_id} is ready; its workdir is ${r.workdir}.`,
  get_session: (r) => `${session(r)}\n${r.calls_open} calls open, ${r.processes_running} processes running`,
  list_sessions: (r) => rows(r.sessions, session, "No sessions.") + more(r),
  close_session: () => "The session is closed.",
  run_command: command,
  run_code: (r) => {
    if (r.status === "reset") return "The interpreter was reset: its context is empty.";
    if (r.status === "interrupted") return "Interrupted.";
    if (r.status === "idle") return "Nothing ran in that context.";
    const images = Array.isArray(r.images) ? `\n${r.images.length} image(s) follow.` : "";
    return `${command(r)}${block("result", r.result)}${images}`;
  },
  read_process: (r) =>
    `${r.output ?? ""}[${end(r)}${r.has_more ? "; more output from" : "; next"} cursor ${r.next_cursor}${lossy(r)}${evicted(r)}]`,
  write_process: (r) => `Written; read_process("${r.process_id}") shows what it says to that.`,
  kill_process: (r) => `${r.process_id}: ${end(r)}`,
  list_processes: (r) =>
    rows(
      r.processes,
      (p) => `${p.process_id}  ${p.status === "running" ? "running" : end(p)}  ${p.output_bytes} bytes  ${p.command}`,
      "No processes.",
    ) + more(r),
  run_tests: renderTests,
  run_checks: renderChecks,
  install_packages: renderPackages,
  read_file: (r) =>
    (r.images ? `An image: ${r.mime}, ${r.size_bytes} bytes.` : String(r.content ?? "")) +
    (r.truncated ? `\n[truncated; ${r.total_lines} lines in all, read on with offset]` : ""),
  write_file: (r) => `${r.created ? "Created" : "Replaced"} ${r.path} (${r.size_bytes} bytes).`,
  list_files: (r) =>
    rows(
      r.entries,
      (e) => `${e.path}${e.type === "dir" ? "/" : ""}  ${e.type === "file" ? `${e.size_bytes} bytes` : e.type}`,
      "No files.",
    ) + more(r),
  edit_file: (r) => {
    const times = r.replacements === 1 ? "1 replacement" : `${r.replacements} replacements`;
    return `${r.dry_run ? "Would make" : "Made"} ${times} in ${r.path}.\n${r.diff}`;
  },
  apply_patch: (r) => {
    const rejects = rows(r.rejects, (reject) => `${reject.path}: ${reject.reason}`, "");
    if (rejects) return `The patch would not apply; nothing would change.\n${rejects}`;
    const done = rows(r.files, (f) => `${f.op} ${f.from ? `${f.from} to ` : ""}${f.path}`, "nothing");
    return `${r.dry_run ? "The patch would apply" : "Applied the patch"}:\n${done}`;
  },
  search_files: (r) => rows(r.matches, match, "No matches.") + more(r),
  diff_workspace: (r) => {
    const { files, insertions, deletions } = (r.stat ?? {}) as Structured;
    if (!files) return "Nothing changed.";
    const left = r.truncated ? "; not all of it is shown, name a path" : "";
    const changed = files === 1 ? "1 file" : `${files} files`;
    return `${changed} changed, ${insertions} lines added, ${deletions} removed${left}\n${r.diff}`;
  },
  list_artifacts: (r) =>
    rows(r.artifacts, (a) => `${a.path}  ${a.size_bytes} bytes  ${a.artifact_id}`, "No files.") + more(r),
  get_artifact: (r) =>
    `${r.path} (${r.size_bytes} bytes, ${r.mime}): download it until ${r.expires_at} from ${r.url}${block("content", r.content)}`,
  put_artifact: (r) => `Send the file by HTTP PUT until ${r.expires_at} to ${r.url}; it becomes ${r.path}.`,
  get_call: (r) => {
    const failure = r.failure as Structured | undefined;
    const result = r.result as Structured | undefined;
    const told = failure
      ? `\n${failure.code}: ${failure.message}${failure.hint ? ` ${failure.hint}` : ""}`
      : result
        ? `\n${render(String(r.tool), result)}`
        : "";
    return `${r.call_id} (${r.tool}): ${r.state}${told}${block("output", r.output)}`;
  },
  create_checkpoint: (r) => `Saved ${saved(r)}.`,
  list_checkpoints: (r) => rows(r.checkpoints, (c) => `${saved(c)}  ${c.created_at}`, "No checkpoints.") + more(r),
  restore_checkpoint: (r) => `Restored ${saved(r)}; ${r.processes_ended} processes were ended.`,
  delete_checkpoint: () => "The checkpoint is deleted.",
  fork_session: (r) =>
    `New sessions from ${r.checkpoint_id}: ${(r.session_ids as string[]).join(", ")}${r.failed ? `; ${r.failed} could not be made` : ""}.`,
  list_calls: (r) =>
    rows(r.calls, (c) => `${c.call_id}  ${c.tool}  ${c.state}  ${c.submitted_at}`, "No calls.") + more(r),
};

/** One readable text for a tool's structured result, its notice first. */
export const render = (tool: string, result: Structured): string => {
  const notice = result.notice ? `Note: ${result.notice}\n` : "";
  if (result.status === "queued" || (result.status === "running" && tool !== "run_command" && result.call_id)) {
    const output = result.process_id ? `, read_process("${result.process_id}") its output so far` : "";
    return `${notice}The call ${result.call_id} is ${result.status}; get_call gives its result${output}.`;
  }
  return notice + (RENDER[tool]?.(result) ?? JSON.stringify(result));
};
