"""Runs inside a sandbox, as user code would: `attempts.py NAME [ARGUMENT]` tries one way out and says how it ended.

Every function that is marked so is an attempt; the test gets its name from the line below it.
"""
import ctypes, errno, glob, os, platform, resource, signal, socket, struct, subprocess, sys, time

libc = ctypes.CDLL(None, use_errno=True)
ATTEMPTS = {}
# x86_64, aarch64
NUMBERS = {
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "fsopen": (430, 430),
    "open_tree": (428, 428), "move_mount": (429, 429), "unshare": (272, 97), "setns": (308, 268), "clone": (56, 220),
    "clone3": (435, 435), "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "init_module": (175, 105),
    "kexec_load": (246, 104), "reboot": (169, 142), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "open_by_handle_at": (304, 265), "capset": (126, 91),
    "ptrace": (101, 117), "personality": (135, 92), "syslog": (103, 116), "mq_open": (240, 180), "io_setup": (206, 0),
}
CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x00020000, 0x20000000, 0x40000000


def attempt(function):
    ATTEMPTS[function.__name__] = function
    return function


def call(name, *args):
    number = NUMBERS[name][0 if platform.machine() == "x86_64" else 1]
    result = libc.syscall(number, *args)
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def escaped(what):
    print(f"escaped: {what}")
    sys.exit(0)


def refused(*tries):
    """All of them must be."""
    for n, one in enumerate(tries):
        try:
            had = one()
        except OSError as error:
            print(f"refused: {errno.errorcode.get(error.errno, error)}")
        else:
            escaped(f"try {n} of {len(tries)} gave {had!r}")


def agent():
    """Its pid: what PID 1 started."""
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        if any(word.endswith(b"/agent.cjs") for word in open(path, "rb").read().split(b"\0")):
            return int(path.split("/")[2])
    raise SystemExit("no agent was found")


def refuse():
    raise OSError(errno.EPERM, "")


def connect(family, address):
    def one():
        with socket.socket(family, socket.SOCK_STREAM) as peer:
            peer.settimeout(2)
            peer.connect(address)
    return one


def read(path):
    return lambda: open(path, "rb").read(1)


def write(path, text=b"1"):
    def one():
        with open(path, "wb", buffering=0) as file:
            file.write(text)
    return one


@attempt
def other_files(name):
    """reading a file of another session, wherever one can look"""
    roots = ["/", *glob.glob("/proc/[0-9]*/root/"), *glob.glob("/proc/[0-9]*/cwd/"), "/proc/1/root/"]
    for root in roots:
        for folder, folders, files in os.walk(root):
            if folder in ("/proc", "/sys"):
                folders.clear()
            if name in files:
                escaped(os.path.join(folder, name))
    refused(lambda: open(f"/proc/1/root/home/dev/workspace/{name}"), lambda: os.listdir("/var/lib/docker"))


@attempt
def other_processes(marker):
    """seeing, signalling or tracing a process of another session"""
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            words = open(path, "rb").read().split(b"\0")
        except OSError:
            continue
        if marker.encode() in words and b"attempts.py" not in b" ".join(words):
            escaped(words)
    host_pid = 2 ** 22 - 1
    refused(lambda: os.kill(host_pid, 0), lambda: call("ptrace", 16, host_pid, 0, 0))


@attempt
def other_memory(_):
    """finding memory of another session in System V or POSIX IPC"""
    shared = os.listdir("/dev/shm") + os.listdir("/dev/mqueue")
    for table in ("shm", "msg", "sem"):
        shared += open(f"/proc/sysvipc/{table}").read().splitlines()[1:]
    if shared:
        escaped(shared)
    refused(lambda: call("mq_open", b"/queue", os.O_CREAT | os.O_RDWR, 0o600, None))


@attempt
def docker_socket(_):
    """the Docker socket, containerd's, or an engine that listens on TCP"""
    for path in ("docker.sock", "containerd/containerd.sock", "podman/podman.sock", "crio/crio.sock"):
        refused(*(connect(socket.AF_UNIX, f"{folder}/{path}") for folder in ("/run", "/var/run")))
    for line in open("/proc/net/unix").read().splitlines()[1:]:
        if "@" in line and "containerd" in line:
            escaped(line)
    refused(*(connect(socket.AF_INET, (host, port)) for host in ("127.0.0.1", "172.17.0.1") for port in (2375, 2376)))


@attempt
def metadata(_):
    """the cloud's metadata address, the host and the world"""
    for host in ("169.254.169.254", "169.254.170.2", "100.100.100.200", "172.17.0.1", "10.0.0.1", "192.0.2.1"):
        refused(connect(socket.AF_INET, (host, 80)))
    refused(connect(socket.AF_INET6, ("fd00:ec2::254", 80)), connect(socket.AF_INET6, ("2001:db8::1", 80)))
    refused(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("169.254.169.254", 53)))


@attempt
def sockets(_):
    """sockets towards the hypervisor, the kernel's crypto, raw packets and its other interfaces"""
    for family, kind, protocol in ((40, 1, 0), (38, 5, 0), (17, 3, 768), (16, 3, 9), (16, 3, 12), (29, 3, 1), (44, 3, 0)):
        refused(lambda: socket.socket(family, kind, protocol))
    refused(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))


@attempt
def mount(_):
    """mounting, unmounting, or another root"""
    refused(
        lambda: call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
        lambda: call("mount", b"/proc", b"/tmp", None, 4096, None),  # MS_BIND
        lambda: call("mount", None, b"/opt/codegen", None, 32 | 4096, None),  # MS_REMOUNT: writable
        lambda: call("umount2", b"/opt/codegen", 2),
        lambda: call("pivot_root", b"/tmp", b"/tmp"),
        lambda: call("chroot", b"/tmp"),
        lambda: call("fsopen", b"tmpfs", 0),
        lambda: call("open_tree", -100, b"/", 1),
        lambda: call("move_mount", -1, b"", -1, b"", 0),
    )


@attempt
def devices(_):
    """devices of the host, by name or made anew"""
    refused(*(lambda kind=kind: os.mknod(f"/tmp/device-{kind}", 0o666 | kind, os.makedev(8, 0)) for kind in (0o060000, 0o020000)))
    refused(*map(read, ("/dev/sda", "/dev/vda", "/dev/mem", "/dev/kmsg", "/dev/kvm", "/dev/fuse", "/dev/net/tun")))


@attempt
def agent_trace(_):
    """tracing the agent or PID 1, or reading their memory and environment"""
    for pid in (1, agent()):
        address = ctypes.create_string_buffer(8)
        vector = struct.pack("QQ", ctypes.addressof(address), 8)
        refused(
            lambda: call("ptrace", 16, pid, 0, 0),  # PTRACE_ATTACH
            lambda: call("ptrace", 0x4206, pid, 0, 0),  # PTRACE_SEIZE
            lambda: call("process_vm_readv", pid, vector, 1, struct.pack("QQ", 0x400000, 8), 1, 0),
            lambda: call("process_vm_writev", pid, vector, 1, struct.pack("QQ", 0x400000, 8), 1, 0),
            lambda: call("pidfd_getfd", call("pidfd_open", pid, 0), 0, 0),
            *map(read, (f"/proc/{pid}/{file}" for file in ("mem", "environ", "maps", "auxv", "stack", "syscall"))),
            lambda: os.listdir(f"/proc/{pid}/fd"),
            lambda: os.readlink(f"/proc/{pid}/exe"),
            write(f"/proc/{pid}/oom_score_adj", b"1000"),
            lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, (0, 0)),  # the uid would be enough
        )


@attempt
def agent_programs(_):
    """changing, replacing or reading the agent's own programs"""
    for path in ("/opt/codegen/agent.cjs", "/opt/codegen/init", "/opt/codegen/node"):
        refused(write(path), lambda: os.unlink(path), lambda: os.rename(path, "/tmp/x"), lambda: os.chmod(path, 0o777))
    refused(read("/opt/codegen/node"), lambda: os.symlink("/tmp", "/opt/codegen/x"))


@attempt
def agent_socket(_):
    """replacing the agent's socket by a symlink, or dialling in its place"""
    path = "/run/codegen/agent.sock"
    refused(
        lambda: os.symlink("/var/run/docker.sock", path), lambda: os.rename("/run/codegen", "/run/gone"),
        lambda: os.rmdir("/run/codegen"), lambda: os.mkdir("/run/codegen/x"), lambda: os.listdir("/run/codegen"),
        lambda: socket.socket(socket.AF_UNIX).bind(path), connect(socket.AF_UNIX, path),
    )


@attempt
def root(_):
    """becoming another user, or taking capabilities"""
    refused(
        *(lambda one=one: one(0) for one in (os.setuid, os.setgid, os.seteuid, os.setegid)),
        lambda: os.setgroups([0]), lambda: os.setresuid(0, 0, 0),
        lambda: call("capset", struct.pack("Ii", 0x20080522, 0), struct.pack("6I", *[0xFFFFFFFF] * 6)),
        lambda: libc.prctl(23, 21, 0, 0, 0) == 1 or refuse(),  # PR_CAPBSET_READ of CAP_SYS_ADMIN
        lambda: libc.prctl(39, 0, 0, 0, 0) == 0 or refuse(),  # PR_GET_NO_NEW_PRIVS
    )
    found = subprocess.run("find / -xdev -perm /6000 -type f 2>/dev/null", shell=True, capture_output=True, text=True).stdout
    if found:
        escaped(f"these are setuid or setgid: {found}")
    for name in os.listdir("/usr/bin"):
        if b"security.capability" in [key.encode() for key in os.listxattr(f"/usr/bin/{name}", follow_symlinks=True)]:
            escaped(f"{name} has capabilities")
    copy = "/tmp/setuid-id"
    subprocess.run(f"cp /usr/bin/id {copy} && chmod 6755 {copy}", shell=True, check=True)
    if "uid=0" in subprocess.run([copy], capture_output=True, text=True).stdout:
        escaped("a setuid program")


@attempt
def namespaces(_):
    """new namespaces, or another's"""
    for flag in (CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET, 0x02000000, 0x04000000, 0x08000000, 0x80):
        refused(lambda: call("unshare", flag))
    refused(
        lambda: call("clone", CLONE_NEWUSER | signal.SIGCHLD, 0, 0, 0, 0),
        lambda: call("clone", CLONE_NEWUSER | CLONE_NEWNS | signal.SIGCHLD, 0, 0, 0, 0),
        lambda: call("clone3", struct.pack("8Q", CLONE_NEWUSER, 0, 0, 0, signal.SIGCHLD, 0, 0, 0), 64),
        lambda: call("setns", os.open("/proc/self/ns/net", os.O_RDONLY), 0),
        lambda: call("setns", call("pidfd_open", 1, 0), CLONE_NEWNS),
        write("/proc/self/uid_map", b"0 1000 1"),
    )


@attempt
def keyrings(_):
    """the kernel's keyrings, which are shared by whoever has the same user id"""
    refused(
        lambda: call("add_key", b"user", b"k", b"v", 1, -4),  # KEY_SPEC_USER_KEYRING
        lambda: call("request_key", b"user", b"k", None, 0),
        lambda: call("keyctl", 0, -4, 1),  # KEYCTL_GET_KEYRING_ID
        lambda: call("keyctl", 1, None),  # KEYCTL_JOIN_SESSION_KEYRING
    )


@attempt
def kernel(_):
    """parts of the kernel that no toolchain needs"""
    refused(
        lambda: call("bpf", 0, b"\0" * 64, 64), lambda: call("userfaultfd", 0), lambda: call("userfaultfd", 1),
        lambda: call("perf_event_open", struct.pack("II", 1, 112) + b"\0" * 104, 0, -1, -1, 0),
        lambda: call("io_uring_setup", 1, b"\0" * 120), lambda: call("io_setup", 1, b"\0" * 8),
        lambda: call("init_module", b"", 0, b""), lambda: call("kexec_load", 0, 0, None, 0),
        lambda: call("reboot", 0xFEE1DEAD, 672274793, 0, None), lambda: call("syslog", 3, b"\0" * 64, 64),
        lambda: call("open_by_handle_at", 3, struct.pack("II8s", 8, 1, b"\2" + b"\0" * 7), 0),
        lambda: call("personality", 0x0400000),  # READ_IMPLIES_EXEC
        lambda: time.clock_settime(time.CLOCK_REALTIME, 0), lambda: socket.sethostname("x"), lambda: os.nice(-1),
        lambda: libc.setrlimit(resource.RLIMIT_NOFILE, struct.pack("QQ", 8192, 8192)) == 0 or refuse(),
    )


@attempt
def kernel_files(_):
    """settings of the kernel and of its cgroups"""
    paths = ["kernel/core_pattern", "kernel/modprobe", "kernel/sysrq", "vm/drop_caches", "fs/binfmt_misc/register"]
    refused(*(write(f"/proc/sys/{path}") for path in paths), write("/proc/sysrq-trigger", b"h"))
    refused(*map(write, glob.glob("/sys/kernel/uevent_helper") + glob.glob("/sys/kernel/*/enabled")[:4]))
    refused(*map(write, glob.glob("/sys/fs/cgroup/**/release_agent", recursive=True)))
    refused(*map(write, glob.glob("/sys/fs/cgroup/**/memory.limit_in_bytes", recursive=True)))
    refused(*map(write, glob.glob("/sys/fs/cgroup/**/memory.max", recursive=True)))
    refused(lambda: os.mkdir("/sys/fs/cgroup/x"), lambda: os.mkdir("/sys/fs/cgroup/memory/x"), read("/proc/kcore"))


@attempt
def root_disk(_):
    """writing anywhere but in the session's own disks"""
    for folder in ("/", "/etc", "/usr/bin", "/var", "/root", "/opt/codegen", "/run", "/dev", "/proc", "/sys"):
        refused(write(os.path.join(folder, "x")))
    refused(write("/etc/passwd"), write("/etc/ld.so.preload"), lambda: os.chmod("/etc/shadow", 0o666))


@attempt
def open_files(_):
    """more open files than a process may have"""
    kept = []
    try:
        while len(kept) < 100_000:
            kept.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as error:
        print(f"refused: {errno.errorcode[error.errno]} at {len(kept)}")
        return
    escaped(f"{len(kept)} files")


@attempt
def inodes(_):
    """more files than the disks hold"""
    for folder, most in (("/home/dev/workspace/many", 300_000), ("/tmp/many", 100_000)):
        os.makedirs(folder)
        try:
            for n in range(most):
                os.close(os.open(f"{folder}/{n}", os.O_CREAT))
        except OSError as error:
            print(f"refused: {errno.errorcode[error.errno]} at {n}")
        else:
            escaped(f"{most} files in {folder}")
        finally:
            subprocess.run(["rm", "-rf", folder])


@attempt
def disk(_):
    """more bytes than the disks hold"""
    for path in ("/home/dev/workspace/large", "/tmp/large", "/dev/shm/large"):
        try:
            with open(path, "wb", buffering=0) as file:
                for _ in range(2048):
                    file.write(b"x" * (1 << 20))
        except OSError as error:
            print(f"refused: {errno.errorcode[error.errno]} in {path}")
        else:
            escaped(f"2 GiB in {path}")
        finally:
            os.unlink(path)


@attempt
def pids(_):
    """more processes than the session may have"""
    children = []
    try:
        while len(children) < 5_000:
            pid = os.fork()
            if pid == 0:
                signal.pause()
            children.append(pid)
    except OSError as error:
        print(f"refused: {errno.errorcode[error.errno]} at {len(children)}")
    else:
        escaped(f"{len(children)} processes")
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        for pid in children:
            os.waitpid(pid, 0)


if __name__ == "__main__":
    try:
        ATTEMPTS[sys.argv[1]](sys.argv[2] if len(sys.argv) > 2 else "")
    except OSError as error:
        print(f"refused: {errno.errorcode.get(error.errno, error)}")
