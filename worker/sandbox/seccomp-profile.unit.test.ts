import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { ConfigError } from "../../shared/config.ts";
import { DOCKER_DEFAULT, OWN_PROFILE, readSeccompProfile } from "./seccomp-profile.ts";

interface Rule {
  names: string[];
  action: string;
  errnoRet?: number;
  args?: { index: number; value: number; op: string }[];
}

/** Ways to more than a process is given, or through a part of the kernel that no toolchain needs. */
const NEVER = [
  ...["add_key", "keyctl", "request_key", "bpf", "perf_event_open", "userfaultfd", "memfd_secret", "remap_file_pages"],
  ...["unshare", "setns", "clone3", "mount", "umount2", "pivot_root", "chroot", "fsopen", "fsmount", "move_mount"],
  ...["open_tree", "mount_setattr", "open_by_handle_at", "name_to_handle_at", "init_module", "finit_module"],
  ...["delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "iopl", "ioperm", "modify_ldt", "acct"],
  ...["io_uring_setup", "io_setup", "process_vm_writev", "pidfd_getfd", "kcmp", "fanotify_init", "mq_open", "quotactl"],
  ...["syslog", "settimeofday", "clock_settime", "clock_adjtime", "sync", "vmsplice", "socketcall", "ipc"],
];

describe("The seccomp profile", () => {
  const { defaultAction, syscalls, ...rest } = JSON.parse(readSeccompProfile(OWN_PROFILE) ?? "") as {
    defaultAction: string;
    syscalls: Rule[];
  };
  const allowed = syscalls.filter(({ action }) => action === "SCMP_ACT_ALLOW");
  const rulesOf = (name: string): Rule[] => allowed.filter(({ names }) => names.includes(name));

  it("refuses what it does not name, and knows no architecture but the machine's own", () => {
    expect(defaultAction).to.equal("SCMP_ACT_ERRNO");
    expect(rest).to.deep.equal({});
  });

  it("allows nothing that leads out of a sandbox", () => {
    expect(NEVER.filter((name) => rulesOf(name).length > 0)).to.deep.equal([]);
  });

  it("allows threads and processes, but no new namespace", () => {
    const namespaces = 0x7e020000; // CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
    expect(rulesOf("clone").map(({ args }) => args)).to.deep.equal([
      [{ index: 0, value: namespaces, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }],
    ]);
  });

  it("lets a process limit itself only: the agent runs as the same user", () => {
    expect(rulesOf("prlimit64").map(({ args }) => args)).to.deep.equal([[{ index: 0, value: 0, op: "SCMP_CMP_EQ" }]]);
  });

  it("makes programs fall back from what it cannot look into, rather than fail", () => {
    const absent = syscalls.filter(({ errnoRet }) => errnoRet === 38).flatMap(({ names }) => names);
    expect(absent).to.include.members(["clone3", "io_uring_setup"]);
  });

  it("allows local, IPv4, IPv6 and route sockets only", () => {
    const families = rulesOf("socket").map(({ args }) => args?.map(({ value, op }) => [value, op]));
    const is = (value: number): [number, string] => [value, "SCMP_CMP_EQ"];
    expect(families).to.deep.equal([[is(1)], [is(2)], [is(10)], [is(16), is(0)]]);
  });

  it("may be the engine's, or a file's; anything else is refused", () => {
    expect(readSeccompProfile(DOCKER_DEFAULT)).to.equal(undefined);
    const folder = mkdtempSync(join(tmpdir(), "seccomp-"));
    const file = join(folder, "profile.json");
    writeFileSync(file, '{\n  "defaultAction": "SCMP_ACT_ALLOW"\n}');
    expect(readSeccompProfile(file)).to.equal('{"defaultAction":"SCMP_ACT_ALLOW"}');
    for (const content of ["[]", "null", "{", '{"defaultAction": 1}']) {
      writeFileSync(file, content);
      expect(() => readSeccompProfile(file), content).to.throw(ConfigError, /SECCOMP_PROFILE/);
    }
    expect(() => readSeccompProfile(join(folder, "none"))).to.throw(ConfigError, /ENOENT/);
    rmSync(folder, { recursive: true });
  });
});
