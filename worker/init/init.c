/*
 * init: the two jobs inside a sandbox that Node cannot do. Static, no dependencies, the same user as the user's code.
 *
 *   init supervise -- CMD...   PID 1 of the container: runs CMD (the agent) for ever and reaps whatever is orphaned.
 *   init serve                 forks runners for the agent, which speaks to it on fd 3. Each runs one command and stays
 *                              until everything that the command started is gone.
 *
 * Build: cc -std=gnu11 -O2 -Wall -Wextra -static -o init init.c
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include "request.h"
#include "waiting-shell.h"

#define SERVER_FD 3
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
static void default_dispositions(void) {
    for (int s = 1; s < NSIG; s++) signal(s, SIG_DFL);
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
    default_dispositions();
    unblock_signals();
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

/* ---- serve -------------------------------------------------------------------------------------------------------- */
/*
 * The agent keeps one runner waiting. Each is forked here, from a small process, because a fork of the agent itself blocks
 * it for more than a millisecond. On fd 3, a socket, `serve` reads a byte a runner, and the runner
 *   says  "runner PID CONTROL REPLY IN OUT ERR TO FROM CHILD\n"
 *                                  the agent opens /proc/PID/fd/N of each: its ends of two pipes for what follows, of the
 *                                  command's stdin, stdout and stderr, and of a channel that a command may get as its fds
 *                                  3 (reads what went to TO) and 4. Pipes and no sockets, because programs open
 *                                  /dev/stdout. CHILD is the process that will be the command.
 *                                  or "none\n" where the session is at its limit of processes.
 *   reads one request (CONTROL)    as in request.h
 *   says (REPLY)                   "started PID\n", or "failed ERRNO\n" and ends;
 *                                  "exit CODE REST\n" or "signal NUMBER REST\n", when the command's main process ends. REST
 *                                  is 1 when something that it started lives on, else 0.
 * and ends when its last descendant did: as a subreaper it inherits whatever leaves the tree by setsid or a double fork.
 * The process that becomes the command is forked ahead too, and reads the request itself: a call costs one wake-up. It is
 * a bash that waits before its first step (waiting-shell.c), where the image's allows that: most commands are bash's, and
 * others are executed in its place. A command that wants a terminal gets one of its own, relayed through the pipes of stdin
 * and stdout by the runner, which reads the request and forks again then.
 */
#define SILENT_MS 100
#define QUICK_NS 2000000
#define NONE "none\n"

static int reply_fd;

static char unsaid[128];
static size_t unsaid_length;

/* Kept until `tell`: each write wakes the agent. */
static void say(const char *word, long a, long b) {
    char *end = unsaid + unsaid_length;
    size_t room = sizeof unsaid - unsaid_length;
    unsaid_length += (size_t)(b < 0 ? snprintf(end, room, "%s %ld\n", word, a) : snprintf(end, room, "%s %ld %ld\n", word, a, b));
}

static void tell(void) {
    if (unsaid_length > 0 && write(reply_fd, unsaid, unsaid_length) < 0) { /* nobody listens any more */ }
    unsaid_length = 0;
}

static void make_pipe(int ends[2]) {
    if (pipe2(ends, O_CLOEXEC) != 0) die("pipe2");
}

/* Bytes on their way from one descriptor to another that may both make us wait. */
struct flow {
    int from, to; /* -1: closed */
    size_t at, end;
    char bytes[65536];
};

static void shut(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

static int would_wait(void) { return errno == EAGAIN || errno == EINTR; }

/* Moves what can be moved without waiting. What nobody takes any more is dropped, so that the writer goes on. */
static void move_bytes(struct flow *flow) {
    while (flow->from >= 0) {
        if (flow->at == flow->end) {
            ssize_t n = read(flow->from, flow->bytes, sizeof flow->bytes);
            if (n < 0 && would_wait()) return;
            if (n <= 0) { /* the end of a pipe; EIO when no process has the terminal open any more */
                flow->from = -1;
                return;
            }
            flow->at = 0, flow->end = (size_t)n;
        }
        ssize_t n = write(flow->to, flow->bytes + flow->at, flow->end - flow->at);
        if (n < 0 && would_wait()) return;
        flow->at = n < 0 ? flow->end : flow->at + (size_t)n;
    }
}

static int is_waiting(const struct flow *flow) { return flow->at < flow->end; }

static struct flow typed = {-1, -1, 0, 0, ""}, shown = {-1, -1, 0, 0, ""};

/* Waits until something can be moved, a child ended, or nothing happened for so long. Returns 0 for the latter. */
static int relay(int child_fd, int timeout_ms) {
    struct pollfd polled[] = {
        {child_fd, POLLIN, 0},
        {is_waiting(&typed) ? typed.to : typed.from, is_waiting(&typed) ? POLLOUT : POLLIN, 0},
        {is_waiting(&shown) ? shown.to : shown.from, is_waiting(&shown) ? POLLOUT : POLLIN, 0},
    };
    int n = poll(polled, sizeof polled / sizeof *polled, timeout_ms);
    move_bytes(&typed);
    move_bytes(&shown);
    return n;
}

/* Everybody is gone: what they wrote last is still in the terminal, and the agent may be slow to read. */
static void drain_terminal(void) {
    move_bytes(&shown);
    while (shown.from >= 0 && relay(-1, is_waiting(&shown) ? -1 : SILENT_MS) > 0) continue;
}

/* Returns the terminal's other end, and the command's in `*command_end`; -1 where there is none to be had. */
static int open_terminal(uint32_t flags, int *command_end) {
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    char name[64];
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0 || ptsname_r(master, name, sizeof name) != 0) return -1;
    struct winsize size = {.ws_row = flags >> ROWS_SHIFT & SIZE_MASK, .ws_col = flags >> COLUMNS_SHIFT & SIZE_MASK};
    ioctl(master, TIOCSWINSZ, &size);
    *command_end = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    return *command_end < 0 ? -1 : master;
}

/* Whatever can be done before the request is known. */
static void prepare_child(void) {
    /* Under pressure the kernel kills user code before the agent and PID 1. Raising one's own score needs no right, but
       /proc/self belongs to root when the binary was not readable. */
    prctl(PR_SET_DUMPABLE, 1);
    int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (score >= 0 && write(score, "1000", 4) < 0) { /* the container still works */ }
    setsid();
    default_dispositions(); /* signals stay blocked until it is the command */
}

/* Reads the request's body and becomes the command: never returns. */
static void become(const struct request *request, const struct ends *ends, int terminal) {
    struct command command = read_command(ends->control, request);
    if (take_place(request, ends, terminal, command.cwd) == 0) execve(command.argv[0], command.argv, command.env);
    tell_failure(ends->status);
}

/* Whether the image's bash can be held back: none is held that would not be. Before SIGCHLD is ignored. */
static int can_shell_wait(void) {
    pid_t pid = fork();
    if (pid == 0) {
        char *argv[] = {WAITING_SHELL, "-c", "exit 1", NULL};
        char *env[] = {"LD_PRELOAD=" WAITING_LIBRARY, WAITING_NAME "=" WAITING_PROBE, NULL};
        execve(argv[0], argv, env);
        _exit(1);
    }
    int status;
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == WAITING_WORKS;
}

static int shell_waits;

/* Becomes a shell that waits, or says why not: never returns. The shell finds room where it shows others in /proc what it
   runs, and for which call. */
static void become_waiting_shell(const struct ends *ends) {
    const int waits[ENDS] = {ends->control, ends->status, ends->in, ends->channel[0], ends->channel[1]};
    for (int i = 0; i < ENDS; i++) fcntl(waits[i], F_SETFD, 0);
    char given[sizeof WAITING_NAME + ENDS * 12], shown[SHOWN_BYTES + 1], call[CALL_BYTES + 1];
    snprintf(given, sizeof given, WAITING_NAME "=" WAITING_FORMAT, waits[0], waits[1], waits[2], waits[3], waits[4]);
    snprintf(shown, sizeof shown, "%-*s", SHOWN_BYTES, ": waits for a command; exit 111");
    snprintf(call, sizeof call, "%-*s", CALL_BYTES, CALL_NAME);
    char *argv[] = {WAITING_SHELL, "-c", shown, NULL}, *env[] = {"LD_PRELOAD=" WAITING_LIBRARY, given, call, NULL};
    execve(argv[0], argv, env);
    tell_failure(ends->status);
}

/* The process that waits to become the command; a request for a terminal goes on to the runner. */
static void await_request(const struct ends *ends, int out, int err) {
    close(SERVER_FD); /* its end is how the agent learns that the server is gone */
    prepare_child();
    dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
    dup2(out, 1);
    dup2(err, 2);
    if (shell_waits) become_waiting_shell(ends);
    struct request request;
    read_all(ends->control, &request, sizeof request);
    if (!(request.flags & FLAG_TERMINAL)) become(&request, ends, -1);
    if (write(ends->status, &request, sizeof request) < 0) { /* the runner sees our exit */ }
    _exit(0);
}

/* Forks once more, with a terminal: relaying needs its other end here. Returns the child, or -1 with the errno in *error. */
static pid_t start_in_terminal(const struct request *request, const struct ends *ends, int out, int *error) {
    int status[2], command_end;
    make_pipe(status);
    int terminal = open_terminal(request->flags, &command_end);
    pid_t child = terminal < 0 ? -1 : fork();
    *error = errno;
    if (child == 0) {
        prepare_child();
        struct ends own = *ends;
        own.status = status[1];
        become(request, &own, command_end);
    }
    close(status[1]);
    if (child > 0 && read(status[0], error, sizeof *error) != sizeof *error) {
        *error = 0;
        typed.from = dup(ends->in), typed.to = shown.from = terminal, shown.to = dup(out);
        fcntl(typed.from, F_SETFL, O_NONBLOCK);
        fcntl(shown.to, F_SETFL, O_NONBLOCK);
    }
    close(status[0]);
    if (terminal >= 0) close(command_end);
    return child;
}

/* Waits for the end of the command, `child`, and of everything it started. */
static int watch_command(pid_t child, int has_failed, int has_terminal) {
    sigset_t chld;
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    int child_fd = has_terminal ? signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK) : -1;
    const struct timespec quick = {0, QUICK_NS};
    if (!has_terminal) sigtimedwait(&chld, NULL, &quick); /* of a quick command, start and end are told at once */
    for (;;) {
        int status, ended = 0, main_status = 0;
        pid_t pid;
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
            if (pid == child) ended = 1, main_status = status;
        int alone = pid < 0; /* ECHILD: no descendant is left */
        if (ended && !has_failed) {
            if (WIFSIGNALED(main_status)) say("signal", WTERMSIG(main_status), !alone);
            else say("exit", WEXITSTATUS(main_status), !alone);
        }
        tell();
        if (alone) {
            drain_terminal();
            return 0;
        }
        if (!has_terminal) {
            sigwaitinfo(&chld, NULL);
            continue;
        }
        relay(child_fd, -1);
        if (shown.from < 0) shut(&shown.to); /* the agent sees the end of the output */
        struct signalfd_siginfo info;
        while (read(child_fd, &info, sizeof info) > 0) continue;
    }
}

static int run(void) {
    prctl(PR_SET_DUMPABLE, 1); /* the agent opens our pipes by /proc, even when this binary is execute-only */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    int control[2], reply[2], in[2], out[2], err[2], to[2], from[2], status[2];
    int *const pipes[] = {control, reply, in, out, err, to, from, status};
    for (size_t i = 0; i < sizeof pipes / sizeof *pipes; i++) make_pipe(pipes[i]);
    reply_fd = reply[1];
    const struct ends ends = {control[0], status[1], in[0], {to[0], from[1]}};
    pid_t child = shell_waits ? vfork() : fork(); /* it is another program in a moment: no copy of ours is needed */
    if (child == 0) await_request(&ends, out[1], err[1]);
    close(status[1]);
    char hello[128];
    int n = snprintf(hello, sizeof hello, "runner %d %d %d %d %d %d %d %d %d\n", getpid(), control[1], reply[0], in[1], out[0],
                     err[0], to[1], from[0], child);
    if (write(SERVER_FD, child < 0 ? NONE : hello, child < 0 ? sizeof NONE - 1 : (size_t)n) < 0 || child < 0) return 0;
    close(SERVER_FD);

    /* Nothing: it became the command. An errno: it could not. The request: it wants a terminal. */
    union {
        int error;
        struct request request;
    } said;
    ssize_t length = read(status[0], &said, sizeof said);
    int error = length == sizeof said.error ? said.error : 0, has_terminal = length == sizeof said.request;
    if (has_terminal) child = start_in_terminal(&said.request, &ends, out[1], &error);
    for (size_t i = 0; i < sizeof pipes / sizeof *pipes; i++)
        for (int end = 0; end < 2; end++)
            if (pipes[i][end] != reply_fd && pipes[i] != status) close(pipes[i][end]);
    close(status[0]);
    for (int fd = 0; fd < 3; fd++) close(fd);
    if (error) say("failed", error, -1);
    else say("started", child, -1);
    return watch_command(child, error != 0, typed.to >= 0);
}

static int serve(void) {
    block_signals();
    prctl(PR_SET_DUMPABLE, 0);
    fcntl(SERVER_FD, F_SETFD, FD_CLOEXEC);
    shell_waits = can_shell_wait();
    signal(SIGCHLD, SIG_IGN); /* nobody waits for runners */
    for (char asked; read(SERVER_FD, &asked, 1) == 1;) {
        int said[2];
        make_pipe(said);
        pid_t runner = fork();
        if (runner == 0) {
            signal(SIGCHLD, SIG_DFL);
            dup3(said[1], SERVER_FD, O_CLOEXEC);
            close(said[0]);
            close(said[1]);
            _exit(run());
        }
        close(said[1]);
        char line[128]; /* nothing: there is none, or it was killed before it could say a word */
        ssize_t length = runner < 0 ? 0 : read(said[0], line, sizeof line);
        close(said[0]);
        if (write(SERVER_FD, length > 0 ? line : NONE, length > 0 ? (size_t)length : sizeof NONE - 1) < 0) return 0;
    }
    return 0; /* the agent is gone */
}

int main(int argc, char **argv) {
    if (argc >= 4 && !strcmp(argv[1], "supervise") && !strcmp(argv[2], "--")) supervise(argv + 3);
    if (argc == 2 && !strcmp(argv[1], "serve")) return serve();
    fputs("usage: init supervise -- CMD...\n       init serve\n", stderr);
    return 64;
}
