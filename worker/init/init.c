/*
 * init: the two jobs inside a sandbox that Node cannot do. Static, no dependencies, the same user as the user's code.
 *
 *   init supervise -- CMD...   PID 1 of the container: runs CMD (the agent) for ever and reaps whatever is orphaned.
 *   init run                   runs one command for the agent, which speaks to it on fd 3, and stays until everything
 *                              that the command started is gone.
 *
 * Build: cc -std=c11 -O2 -Wall -Wextra -static -o init init.c
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CONTROL_FD 3
#define REQUEST_MAX (8u << 20)
#define PAUSE_FIRST_MS 100
#define PAUSE_LAST_MS 2000

static void die(const char *what) {
    perror(what);
    _exit(111);
}

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Every signal waits until it is asked for: what user code sends must not end us. Only SIGKILL and SIGSTOP get through. */
static void block_signals(void) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
}

/* A program expects default dispositions and an empty mask; both survive exec. */
static void default_signals(void) {
    for (int s = 1; s < NSIG; s++) signal(s, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* ---- supervise ---------------------------------------------------------------------------------------------------- */

/* Only the engine may end the container: a signal from outside our PID namespace has no sender that we could see. */
static void exit_if_from_outside(const siginfo_t *info) {
    if ((info->si_signo == SIGTERM || info->si_signo == SIGINT) && info->si_pid == 0) _exit(0);
}

static void pause_ms(int64_t ms) {
    sigset_t end;
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigaddset(&end, SIGINT);
    for (int64_t until = now_ms() + ms, left; (left = until - now_ms()) > 0;) {
        struct timespec t = {left / 1000, (left % 1000) * 1000000};
        siginfo_t info;
        if (sigtimedwait(&end, &info, &t) > 0) exit_if_from_outside(&info);
    }
}

static pid_t start_agent(char **cmd) {
    pid_t pid = fork();
    if (pid != 0) return pid;
    setsid();
    setenv("CODEGEN_SUPERVISED", "1", 1); /* the agent may take PID 1's other children for orphans of a call */
    default_signals();
    execv(cmd[0], cmd);
    die(cmd[0]);
    return -1;
}

/* Waits for the agent's end, reaping orphans meanwhile. */
static void watch_agent(pid_t agent) {
    sigset_t wanted;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGCHLD);
    sigaddset(&wanted, SIGTERM);
    sigaddset(&wanted, SIGINT);
    for (;;) {
        int status;
        pid_t pid;
        while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
            if (pid != agent) continue;
            if (!WIFSTOPPED(status)) return;
            kill(agent, SIGCONT); /* user code has the agent's uid, so it can stop it */
        }
        siginfo_t info;
        if (sigwaitinfo(&wanted, &info) > 0) exit_if_from_outside(&info);
    }
}

/* Without the agent nobody watches the calls: they end with it. kill(-1) spares only ourselves. */
static void kill_everything(void) {
    for (;;) {
        kill(-1, SIGKILL);
        while (waitpid(-1, NULL, WNOHANG) > 0) continue;
        if (errno == ECHILD) return;
        pause_ms(1);
    }
}

static void supervise(char **cmd) {
    prctl(PR_SET_DUMPABLE, 0); /* user code has our uid: without this it could ptrace PID 1 and become it */
    block_signals();
    for (int64_t wait = PAUSE_FIRST_MS;;) {
        int64_t started = now_ms();
        pid_t agent = start_agent(cmd);
        if (agent > 0) watch_agent(agent);
        kill_everything();
        if (now_ms() - started > PAUSE_LAST_MS) wait = PAUSE_FIRST_MS;
        pause_ms(wait);
        wait = wait * 2 > PAUSE_LAST_MS ? PAUSE_LAST_MS : wait * 2;
    }
}

/* ---- run ---------------------------------------------------------------------------------------------------------- */
/*
 * Started ahead of need: the agent keeps one runner waiting, so that a call costs one fork and one exec. On fd 3, a
 * socket, it
 *   says  "pipes IN OUT ERR\n"     the agent opens /proc/PID/fd/{IN,OUT,ERR}: its ends of the command's stdin, stdout and
 *                                  stderr. Pipes and no sockets, because programs open /dev/stdout and /dev/stderr.
 *   reads one request              u32 body length, u32 flags, u32 argc, u32 envc, in the machine's order, then the body:
 *                                  cwd, argv, environment, every string with its NUL.
 *   says  "started PID\n"          or "failed ERRNO\n", and ends.
 *   says  "exit CODE REST\n"       or "signal NUMBER REST\n", when the command's main process ends. REST is 1 when
 *                                  something that it started lives on, else 0.
 * and ends when its last descendant did: as a subreaper it inherits whatever leaves the tree by setsid or a double fork.
 * A terminal will be one more flag: openpty() here, relayed through the same pipes.
 */
enum { FLAG_STDIN = 1 };

struct request {
    uint32_t length, flags, argc, envc;
};

static void read_all(void *into, size_t length) {
    for (char *at = into; length > 0;) {
        ssize_t n = read(CONTROL_FD, at, length);
        if (n <= 0) _exit(0); /* the agent is gone or does not need us */
        at += n;
        length -= (size_t)n;
    }
}

static void say(const char *word, long a, long b) {
    char line[64];
    int n = b < 0 ? snprintf(line, sizeof line, "%s %ld\n", word, a) : snprintf(line, sizeof line, "%s %ld %ld\n", word, a, b);
    if (write(CONTROL_FD, line, (size_t)n) < 0) return; /* nobody listens any more */
}

static void make_pipe(int ends[2]) {
    if (pipe2(ends, O_CLOEXEC) != 0) die("pipe2");
}

static void take_strings(char **into, uint32_t count, char **next, const char *end) {
    for (uint32_t i = 0; i < count; i++) {
        if (*next >= end) _exit(111);
        into[i] = *next;
        *next += strlen(*next) + 1;
    }
    into[count] = NULL;
}

/* The child's half of fork(): never returns. */
static void become(const char *cwd, char **argv, char **env, const int stdio[3], int failure_fd) {
    /* Under pressure the kernel kills user code before the agent and PID 1. Raising one's own score needs no right, but
       /proc/self belongs to root when the binary was not readable. */
    prctl(PR_SET_DUMPABLE, 1);
    int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (score >= 0 && write(score, "1000", 4) < 0) { /* the container still works */ }
    setsid();
    for (int fd = 0; fd < 3; fd++) dup2(stdio[fd], fd);
    default_signals();
    if (chdir(cwd) == 0) execve(argv[0], argv, env);
    int error = errno;
    if (write(failure_fd, &error, sizeof error) < 0) { /* the runner sees our exit */ }
    _exit(127);
}

static int run(void) {
    block_signals();
    prctl(PR_SET_DUMPABLE, 1); /* the agent opens our pipes by /proc, even when this binary is execute-only */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC);
    int in[2], out[2], err[2], failure[2];
    make_pipe(in);
    make_pipe(out);
    make_pipe(err);
    make_pipe(failure);
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    char hello[64];
    int n = snprintf(hello, sizeof hello, "pipes %d %d %d\n", in[1], out[0], err[0]);
    if (write(CONTROL_FD, hello, (size_t)n) < 0) return 0;

    struct request request;
    read_all(&request, sizeof request);
    if (request.length > REQUEST_MAX || request.argc < 1 || request.argc > request.length || request.envc > request.length)
        return 111;
    char *body = malloc(request.length + 1);
    char **argv = calloc(request.argc + 1, sizeof *argv), **env = calloc(request.envc + 1, sizeof *env);
    if (!body || !argv || !env) return 111;
    read_all(body, request.length);
    body[request.length] = '\0';
    char *cwd, *next = body, *cwd_list[2];
    take_strings(cwd_list, 1, &next, body + request.length);
    cwd = cwd_list[0];
    take_strings(argv, request.argc, &next, body + request.length);
    take_strings(env, request.envc, &next, body + request.length);

    const int stdio[3] = {request.flags & FLAG_STDIN ? in[0] : null_fd, out[1], err[1]};
    pid_t child = fork();
    if (child == 0) become(cwd, argv, env, stdio, failure[1]);
    int fork_error = errno;
    const int ours[] = {in[0], in[1], out[0], out[1], err[0], err[1], failure[1], null_fd, 0, 1, 2};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) close(ours[i]);
    free(body);
    int exec_error;
    if (child < 0) exec_error = fork_error;
    else if (read(failure[0], &exec_error, sizeof exec_error) != sizeof exec_error) exec_error = 0; /* closed by exec */
    close(failure[0]);
    if (exec_error) say("failed", exec_error, -1);
    else say("started", child, -1);

    sigset_t chld;
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    for (;;) {
        int status, ended = 0, main_status = 0;
        pid_t pid;
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
            if (pid == child) ended = 1, main_status = status;
        int alone = pid < 0; /* ECHILD: no descendant is left */
        if (ended && !exec_error) {
            if (WIFSIGNALED(main_status)) say("signal", WTERMSIG(main_status), !alone);
            else say("exit", WEXITSTATUS(main_status), !alone);
        }
        if (alone) return 0;
        sigwaitinfo(&chld, NULL);
    }
}

int main(int argc, char **argv) {
    if (argc >= 4 && !strcmp(argv[1], "supervise") && !strcmp(argv[2], "--")) supervise(argv + 3);
    if (argc == 2 && !strcmp(argv[1], "run")) return run();
    fputs("usage: init supervise -- CMD...\n       init run\n", stderr);
    return 64;
}
