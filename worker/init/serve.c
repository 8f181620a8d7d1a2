#define _GNU_SOURCE
#include "serve.h"
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include "terminal.h"

#define QUICK_NS 2000000
#define NONE "none\n"

enum { CONTROL, REPLY, IN, OUT, ERR, TO, FROM, STATUS, PIPES };
enum { READS, WRITES };
/* The ends that the process needs which waits for a command, besides its standard streams. */
static const int KEPT[PIPES] = {[CONTROL] = READS, [REPLY] = -1, [IN] = READS,    [OUT] = -1,
                                [ERR] = -1,        [TO] = READS, [FROM] = WRITES, [STATUS] = WRITES};

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

/* Whatever can be done before the request is known. */
static void prepare_child(void) {
    /* Under pressure the kernel kills user code before the agent and PID 1. Raising one's own score needs no right, but
       /proc/self belongs to root when the binary was not readable. */
    prctl(PR_SET_DUMPABLE, 1);
    int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (score >= 0 && write(score, "1000", 4) < 0) { /* the container still works */ }
    close(score);
    setsid();
    default_dispositions(); /* signals stay blocked until it is the command */
}

/* Reads the request's body and takes the command's place; returns where the command is for the shell. */
static struct command become(const struct request *request, int pipes[PIPES][2], int terminal, const struct shell *shell) {
    struct command command = read_command(pipes[CONTROL][READS], request);
    const struct ends ends = {pipes[IN][READS], {pipes[TO][READS], pipes[FROM][WRITES]}};
    if (take_place(request, &ends, terminal, command.cwd) == 0) {
        if (shell && terminal < 0 && shell->is_for_it(request, command.env)) return command;
        execve(command.argv[0], command.argv, command.env);
    }
    int error = errno;
    if (write(pipes[STATUS][WRITES], &error, sizeof error) < 0) { /* the runner sees our exit */ }
    _exit(127);
}

/* The process that waits to become the command; a request for a terminal goes on to the runner. */
static struct command await_request(int pipes[PIPES][2], const struct shell *shell) {
    close(SERVER_FD); /* its end is how the agent learns that the server is gone */
    prepare_child();
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(null, 0);
    close(null);
    dup2(pipes[OUT][WRITES], 1);
    dup2(pipes[ERR][WRITES], 2);
    for (int i = 0; i < PIPES; i++)
        for (int end = 0; end < 2; end++)
            if (end != KEPT[i]) close(pipes[i][end]);
    if (shell) shell->get_ready();
    struct request request;
    read_all(pipes[CONTROL][READS], &request, sizeof request);
    if (request.flags & FLAG_TERMINAL) {
        if (write(pipes[STATUS][WRITES], &request, sizeof request) < 0) { /* the runner sees our exit */ }
        _exit(0);
    }
    struct command command = become(&request, pipes, -1, shell);
    for (int i = 0; i < PIPES; i++)
        if (KEPT[i] >= 0) close(pipes[i][KEPT[i]]);
    return command;
}

/* Forks once more, with a terminal: relaying needs its other end here. Returns the child, or -1 with the errno in *error. */
static pid_t start_in_terminal(const struct request *request, int pipes[PIPES][2], int *error) {
    int status[2], command_end;
    make_pipe(status);
    int terminal = open_terminal(request->flags, &command_end);
    pid_t child = terminal < 0 ? -1 : fork();
    *error = errno;
    if (child == 0) {
        prepare_child();
        pipes[STATUS][WRITES] = status[WRITES];
        become(request, pipes, command_end, NULL);
    }
    close(status[WRITES]);
    if (child > 0 && read(status[READS], error, sizeof *error) != sizeof *error) {
        *error = 0;
        relay_terminal(terminal, dup(pipes[IN][READS]), dup(pipes[OUT][WRITES]));
    }
    close(status[READS]);
    if (terminal >= 0) close(command_end);
    return child;
}

/* Waits for the end of the command, `child`, and of everything it started. */
static void watch_command(pid_t child, int has_failed) {
    sigset_t chld;
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    int child_fd = has_terminal() ? signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK) : -1;
    const struct timespec quick = {0, QUICK_NS};
    if (!has_terminal()) sigtimedwait(&chld, NULL, &quick); /* of a quick command, start and end are told at once */
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
        if (alone) return drain_terminal();
        if (!has_terminal()) {
            sigwaitinfo(&chld, NULL);
            continue;
        }
        relay(child_fd, -1);
        close_if_silent();
        struct signalfd_siginfo info;
        while (read(child_fd, &info, sizeof info) > 0) continue;
    }
}

/* Ends the process, but for the child that goes on as the shell. */
static struct command run(const struct shell *shell) {
    prctl(PR_SET_DUMPABLE, 1); /* the agent opens our pipes by /proc, even when this binary is execute-only */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    int pipes[PIPES][2];
    for (int i = 0; i < PIPES; i++) make_pipe(pipes[i]);
    reply_fd = pipes[REPLY][WRITES];
    pid_t child = fork();
    if (child == 0) return await_request(pipes, shell);
    close(pipes[STATUS][WRITES]);
    char hello[128];
    int n = snprintf(hello, sizeof hello, "runner %d %d %d %d %d %d %d %d %d\n", getpid(), pipes[CONTROL][WRITES],
                     pipes[REPLY][READS], pipes[IN][WRITES], pipes[OUT][READS], pipes[ERR][READS], pipes[TO][WRITES],
                     pipes[FROM][READS], child);
    if (write(SERVER_FD, child < 0 ? NONE : hello, child < 0 ? sizeof NONE - 1 : (size_t)n) < 0 || child < 0) _exit(0);
    close(SERVER_FD);

    /* Nothing: it became the command. An errno: it could not. The request: it wants a terminal. */
    union {
        int error;
        struct request request;
    } said;
    ssize_t length = read(pipes[STATUS][READS], &said, sizeof said);
    int error = length == sizeof said.error ? said.error : 0;
    if (length == sizeof said.request) child = start_in_terminal(&said.request, pipes, &error);
    for (int i = 0; i < PIPES; i++)
        for (int end = 0; end < 2; end++)
            if (pipes[i][end] != reply_fd && !(i == STATUS && end == WRITES)) close(pipes[i][end]);
    for (int fd = 0; fd < 3; fd++) close(fd);
    if (error) say("failed", error, -1);
    else say("started", child, -1);
    watch_command(child, error != 0);
    _exit(0);
}

struct command serve(const struct shell *shell) {
    fcntl(SERVER_FD, F_SETFD, FD_CLOEXEC);
    signal(SIGCHLD, SIG_IGN); /* nobody waits for runners */
    for (char asked; read(SERVER_FD, &asked, 1) == 1;) {
        int said[2];
        make_pipe(said);
        pid_t runner = fork();
        if (runner == 0) {
            signal(SIGCHLD, SIG_DFL);
            dup3(said[WRITES], SERVER_FD, O_CLOEXEC);
            close(said[READS]);
            close(said[WRITES]);
            return run(shell);
        }
        close(said[WRITES]);
        char line[128]; /* nothing: there is none, or it was killed before it could say a word */
        ssize_t length = runner < 0 ? 0 : read(said[READS], line, sizeof line);
        close(said[READS]);
        if (write(SERVER_FD, length > 0 ? line : NONE, length > 0 ? (size_t)length : sizeof NONE - 1) < 0) break;
    }
    _exit(0); /* the agent is gone */
}
