#define _GNU_SOURCE
#include "terminal.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include "request.h"

#define SILENT_MS 100
#define FLOW_BYTES 65536

/* Bytes on their way from one descriptor to another that may both make us wait. */
struct flow {
    int from, to; /* -1: closed */
    size_t at, end;
    char *bytes; /* here only where there is a terminal: a shell that is forked from us would copy them */
};

static struct flow typed = {-1, -1, 0, 0, NULL}, shown = {-1, -1, 0, 0, NULL};

static int would_wait(void) { return errno == EAGAIN || errno == EINTR; }

/* Moves what can be moved without waiting. What nobody takes any more is dropped, so that the writer goes on. */
static void move_bytes(struct flow *flow) {
    while (flow->from >= 0) {
        if (flow->at == flow->end) {
            ssize_t n = read(flow->from, flow->bytes, FLOW_BYTES);
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

int relay(int child_fd, int timeout_ms) {
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

void close_if_silent(void) {
    if (shown.from >= 0 || shown.to < 0) return;
    close(shown.to);
    shown.to = -1;
}

void drain_terminal(void) {
    move_bytes(&shown);
    while (shown.from >= 0 && relay(-1, is_waiting(&shown) ? -1 : SILENT_MS) > 0) continue;
}

int open_terminal(uint32_t flags, int *command_end) {
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    char name[64]; /* whose it is, the kernel has settled */
    if (master < 0 || unlockpt(master) != 0 || ptsname_r(master, name, sizeof name) != 0) return -1;
    struct winsize size = {.ws_row = flags >> ROWS_SHIFT & SIZE_MASK, .ws_col = flags >> COLUMNS_SHIFT & SIZE_MASK};
    ioctl(master, TIOCSWINSZ, &size);
    *command_end = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    return *command_end < 0 ? -1 : master;
}

void relay_terminal(int terminal, int in, int out) {
    typed.bytes = malloc(FLOW_BYTES), shown.bytes = malloc(FLOW_BYTES);
    if (!typed.bytes || !shown.bytes) die("malloc");
    typed.from = in, typed.to = shown.from = terminal, shown.to = out;
    fcntl(typed.from, F_SETFL, O_NONBLOCK);
    fcntl(shown.to, F_SETFL, O_NONBLOCK);
}

int has_terminal(void) { return typed.to >= 0; }
