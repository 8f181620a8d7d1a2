/*
 * init: the two jobs inside a sandbox that Node cannot do. Static, no dependencies, the same user as the user's code.
 *
 *   init supervise -- CMD...   PID 1 of the container: runs CMD (the agent) for ever and reaps whatever is orphaned.
 *   init serve                 forks runners for the agent (serve.h), from a bash where the image's can be held back: most
 *                              commands are bash's.
 *
 * Build: cc -std=gnu11 -O2 -Wall -Wextra -static -o init init.c serve.c terminal.c
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include "process.h"
#include "serve.h"
#include "waiting-shell.h"

#define PAUSE_FIRST_MS 100
#define PAUSE_LAST_MS 2000

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

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

/* Whether the image's bash can be held back: none is held that would not be. */
static int can_shell_wait(void) {
    pid_t pid = fork();
    if (pid == 0) {
        close(SERVER_FD);
        char *argv[] = {WAITING_SHELL, "-c", "exit 1", NULL};
        char *env[] = {"LD_PRELOAD=" WAITING_LIBRARY, WAITING_NAME "=" WAITING_PROBE, NULL};
        execve(argv[0], argv, env);
        _exit(1);
    }
    int status;
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == WAITING_WORKS;
}

static void become_shell(void) {
    char shown[SHOWN_BYTES + 1], call[CALL_BYTES + 1];
    snprintf(shown, sizeof shown, "%-*s", SHOWN_BYTES, ": is not held back; exit 111");
    snprintf(call, sizeof call, "%-*s", CALL_BYTES, CALL_NAME);
    char *argv[] = {WAITING_SHELL, "-c", shown, NULL};
    char *env[] = {"LD_PRELOAD=" WAITING_LIBRARY, WAITING_NAME "=" WAITING_SERVES, call, NULL};
    execve(argv[0], argv, env);
}

int main(int argc, char **argv) {
    if (argc >= 4 && !strcmp(argv[1], "supervise") && !strcmp(argv[2], "--")) supervise(argv + 3);
    if (argc == 2 && !strcmp(argv[1], "serve")) {
        block_signals();
        prctl(PR_SET_DUMPABLE, 0);
        if (can_shell_wait()) become_shell();
        serve(NULL);
    }
    fputs("usage: init supervise -- CMD...\n       init serve\n", stderr);
    return 64;
}
