/*
 * `init serve`. The agent keeps one runner waiting. Each is forked here, from a small process, because a fork of the agent
 * itself blocks it for more than a millisecond. On fd 3, a socket, `serve` reads a byte a runner, and the runner
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
 * The process that becomes the command is forked ahead too, and reads the request itself: a call costs one wake-up. A
 * command that wants a terminal gets one of its own, relayed through the pipes of stdin and stdout by the runner, which
 * reads the request and forks again then.
 */
#ifndef SERVE_H
#define SERVE_H
#include "request.h"

#define SERVER_FD 3

/* The shell that we are, held back before its main function (waiting-shell.c). */
struct shell {
    /* In the process that waits for a command: what can be done before it comes. */
    void (*get_ready)(void);
    /* Whether the command is what this shell would be if it were started now. */
    int (*is_for_it)(const struct request *request, char **env);
};

/* Until the agent is gone; ends the process then. `shell` is NULL in a process that is none. Returns only in the child of a
   runner whose command is for the shell, as what that has to do: folder, descriptors and signals are the command's. */
struct command serve(const struct shell *shell);
#endif
