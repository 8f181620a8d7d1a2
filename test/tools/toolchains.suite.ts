import { expect } from "chai";
import { useCluster } from "../support/use-cluster.ts";
import { type TestProject, useProjects } from "../support/use-project.ts";

const PYTHON = `python3 - <<'E'
import asyncio, multiprocessing as mp
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import shared_memory
block = shared_memory.SharedMemory(create=True, size=64); block.close(); block.unlink()
with ThreadPoolExecutor(8) as threads: total = sum(threads.map(abs, range(-50, 0)))
with ProcessPoolExecutor(2, mp_context=mp.get_context("fork")) as pool: total += sum(pool.map(abs, [-1, -2]))
async def main():
    process = await asyncio.create_subprocess_shell("echo 1", stdout=-1)
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    return int((await process.communicate())[0]) + len(await reader.read())
print(total + asyncio.run(main()))
E`;

const NODE = `cat > w.mjs <<'E'
import { execFileSync } from "node:child_process";
import { mkdirSync, watch, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { networkInterfaces } from "node:os";
import { Worker } from "node:worker_threads";
const once = (target, event) => new Promise((resolve) => target.once(event, resolve));
const worker = new Worker("require('worker_threads').parentPort.postMessage(1)", { eval: true });
const fromWorker = await once(worker, "message");
mkdirSync("watched");
const watcher = watch("watched");
const change = once(watcher, "change");
writeFileSync("watched/x", "");
await change;
watcher.close();
const server = createServer((_, response) => response.end("ok")).listen(0, "127.0.0.1");
await once(server, "listening");
const text = await (await fetch("http://127.0.0.1:" + server.address().port)).text();
server.close();
await WebAssembly.compile(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]));
console.log(fromWorker, text, "lo" in networkInterfaces(), execFileSync("echo", ["sub"]).toString().trim());
E
node w.mjs`;

const C = `cat > t.c <<'E'
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
static void *run(void *n) { return n; }
int main(void) {
  pthread_t t; void *n; int sum = 0;
  pthread_create(&t, 0, run, (void *)1L); pthread_join(t, &n);
  #pragma omp parallel for reduction(+ : sum)
  for (int i = 0; i < 10; i++) sum += 1;
  void *kept = malloc(8); printf("%ld %d\\n", (long)n, sum); free(kept); return 0;
}
E
printf 't: t.c\\n\\tgcc -fopenmp -fsanitize=address,undefined -pthread -o t t.c\\n' > Makefile && make -s -j2 && ./t`;

const GO = `cat > main.go <<'E'
package main

import (
	"fmt"
	"net"
	"os/exec"
	"sync"
)

func main() {
	var wait sync.WaitGroup
	for i := 0; i < 100; i++ {
		wait.Add(1)
		go wait.Done()
	}
	wait.Wait()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	out, _ := exec.Command("echo", "sub").Output()
	fmt.Print(listener != nil, err, " ", string(out))
}
E
go mod init example.com/g 2>/dev/null; go build -o g . && ./g`;

const JAVA = `cat > M.java <<'E'
public class M {
  public static void main(String[] a) throws Exception {
    Thread t = new Thread(() -> System.out.println(new byte[1 << 20].length));
    t.start(); t.join(); System.gc();
    System.out.println(new ProcessBuilder("true").start().waitFor());
  }
}
E
javac M.java && java -Xmx64m M`;

const DEBUGGER = `cat > d.c <<'E'
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>
static long secret = 42;
int main(void) {
  pid_t child = fork();
  if (child == 0) { ptrace(PTRACE_TRACEME, 0, 0, 0); raise(SIGSTOP); _exit(7); }
  int status; waitpid(child, &status, 0);
  printf("%ld ", ptrace(PTRACE_PEEKDATA, child, &secret, 0));
  ptrace(PTRACE_CONT, child, 0, 0); waitpid(child, &status, 0);
  printf("%d\\n", WEXITSTATUS(status));
}
E
gcc -o d d.c && ./d`;

const BASH =
  `set -m; sleep 0 & wait; coproc cat; echo x >&\${COPROC[1]}; read -u \${COPROC[0]} y; diff <(echo $y) <(echo x) && ` +
  "mkfifo p && (echo $y > p &) && cat p";
const GIT =
  "git init -q r && cd r && echo a > a && git add . && git commit -qm a && git switch -qc b && " +
  "git worktree add -q ../w main && git gc -q && git clone -q . ../c && git -C ../c log --format=%s";
const NPM =
  "mkdir pkg && (cd pkg && npm init -y >/dev/null) && npm init -y >/dev/null && " +
  "npm install --offline --no-audit ./pkg >/dev/null && npm pkg set scripts.hi='echo hi' && npm run -s hi";
const PYTEST =
  "python3 -m venv --system-site-packages v && printf 'def test_x(): pass' > test_x.py && v/bin/python -m pytest -q test_x.py";
const CXX =
  "printf '#include <iostream>\\n#include <thread>\\nint main() { std::thread t([] { std::cout << 1 << std::endl; }); " +
  "t.join(); }' > x.cc && g++ -O1 -o x x.cc -pthread && ./x";
const CARGO =
  "cargo init -q --vcs none --name c c && cd c && printf 'fn main() { let t = std::thread::spawn(|| 1); " +
  `println!("{}", t.join().unwrap()); }' > src/main.rs && cargo run -q --offline`;

/** A command, and what it prints. Test runners have suites of their own; pip and npm install from an index in packages.test.ts. */
const PROGRAMS: [string, string, RegExp][] = [
  ["bash: job control, process substitution, coprocesses, named pipes", BASH, /^x\n$/],
  ["python: threads, processes, shared memory, semaphores, asyncio", PYTHON, /^1279\n$/],
  ["python: a virtual environment and pytest", PYTEST, /1 passed/],
  ["node: worker threads, children, watching, fetch, WebAssembly", NODE, /^1 ok true sub\n$/],
  ["npm: an install from a folder, a script", NPM, /^hi\n$/],
  ["git: commits, worktrees, garbage collection, a clone", GIT, /^a\n$/],
  ["ripgrep", "seq 100000 > n && rg -c '^7' n && rg --files --threads 4 n", /^11111\nn\n$/],
  ["make and gcc: threads, OpenMP, and sanitizers, which trace their own process", C, /^1 10\n$/],
  ["g++", CXX, /^1\n$/],
  ["go", GO, /^true <nil> sub\n$/],
  ["cargo", CARGO, /^1\n$/],
  ["java", JAVA, /^1048576\n0\n$/],
  ["a debugger's way: a child is traced, stopped, read and let go", DEBUGGER, /^42 7\n$/],
];

describe("Toolchains under the seccomp profile", function () {
  this.timeout(300_000);
  const cluster = useCluster({ WORKSPACE_MB: "512" });
  const make = useProjects(cluster);
  let project: TestProject;
  beforeEach(async () => {
    project = await make("polyglot", {});
  });

  for (const [what, command, printed] of PROGRAMS) {
    it(`run ${what}`, async () => {
      const done = await project.done("run_command", { command, timeout_ms: 280_000 });
      const { stdout, stderr, exit_code } = done as unknown as Record<string, unknown>;
      expect(exit_code, `${stdout}\n${stderr}`).to.equal(0);
      expect(stdout).to.match(printed);
    });
  }
});
