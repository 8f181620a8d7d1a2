/*
 * What a process that waits for a command reads, and does before it becomes it. The agent writes a request as
 *   u32 body length, u32 flags, u32 argc, u32 envc, in the machine's order, then the body: cwd, argv, environment, every
 *   string with its NUL. With FLAG_TERMINAL the flags hold the window's size too: 12 bits for the rows, 12 for the columns.
 */
#ifndef REQUEST_H
#define REQUEST_H
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "process.h"

enum { FLAG_STDIN = 1, FLAG_TERMINAL = 2, FLAG_CHANNEL = 4, FLAG_SHELL = 8, ROWS_SHIFT = 8, COLUMNS_SHIFT = 20, SIZE_MASK = 0xfff };
#define CHANNEL_FD 3
#define REQUEST_MAX (8u << 20)
#define GARBLED 111

struct request {
    uint32_t length, flags, argc, envc;
};

struct command {
    char *cwd, **argv, **env;
};

/* What a command needs besides its request: `channel` becomes fds 3 and 4 where it asks for one. */
struct ends {
    int in, channel[2];
};

static inline void read_all(int fd, void *into, size_t length) {
    for (char *at = into; length > 0;) {
        ssize_t n = read(fd, at, length);
        if (n <= 0) _exit(0); /* the agent is gone */
        at += n;
        length -= (size_t)n;
    }
}

static inline char *take_strings(char **into, uint32_t count, char *next, const char *end) {
    for (uint32_t i = 0; i < count; i++) {
        if (next >= end) _exit(GARBLED);
        into[i] = next;
        next += strlen(next) + 1;
    }
    into[count] = NULL;
    return next;
}

/* The strings may be written to, and stay for ever. */
static inline struct command read_command(int control, const struct request *request) {
    if (request->length > REQUEST_MAX || request->argc < 1 || request->argc > request->length || request->envc > request->length)
        _exit(GARBLED);
    size_t pointers = (2 + request->argc + 1 + request->envc + 1) * sizeof(char *);
    char **table = mmap(NULL, pointers + request->length + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (table == MAP_FAILED) _exit(GARBLED);
    char *body = (char *)table + pointers, *end = body + request->length;
    read_all(control, body, request->length);
    struct command command = {.argv = table + 2, .env = table + 2 + request->argc + 1};
    char *next = take_strings(table, 1, body, end);
    command.cwd = table[0];
    next = take_strings(command.argv, request->argc, next, end);
    take_strings(command.env, request->envc, next, end);
    return command;
}

/* The last steps before it is the command. Returns -1 where the folder cannot be entered. */
static inline int take_place(const struct request *request, const struct ends *ends, int terminal, const char *cwd) {
    for (int fd = 0; terminal >= 0 && fd < 3; fd++) dup2(terminal, fd);
    if (terminal < 0 && request->flags & FLAG_STDIN) dup2(ends->in, 0);
    for (int i = 0; request->flags & FLAG_CHANNEL && i < 2; i++) dup2(ends->channel[i], CHANNEL_FD + i);
    if (terminal >= 0) ioctl(0, TIOCSCTTY, 0);
    unblock_signals();
    return chdir(cwd);
}
#endif
