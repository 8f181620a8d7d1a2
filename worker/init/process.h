/* How a process of ours fails, and what it does with signals. */
#ifndef PROCESS_H
#define PROCESS_H
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static inline void die(const char *what) {
    perror(what);
    _exit(111);
}

/* Every signal waits until it is asked for: what user code sends must not end us. Only SIGKILL and SIGSTOP get through. */
static inline void block_signals(void) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
}

/* A program expects default dispositions and an empty mask; both survive exec. */
static inline void default_dispositions(void) {
    for (int s = 1; s < NSIG; s++) signal(s, SIG_DFL);
}

/* Signals that came while it waited were not meant for the command. To ignore one discards it. */
static inline void unblock_signals(void) {
    sigset_t waiting, none;
    sigpending(&waiting);
    for (int s = 1; s < NSIG; s++) {
        if (sigismember(&waiting, s) != 1) continue;
        signal(s, SIG_IGN);
        signal(s, SIG_DFL);
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}
#endif
