/* A terminal of a command's own, relayed by its runner through the pipes of stdin and stdout. */
#ifndef TERMINAL_H
#define TERMINAL_H
#include <stdint.h>

/* Its size is in `flags` (request.h). Returns our end, and the command's in `*command_end`; -1 where none is to be had. */
int open_terminal(uint32_t flags, int *command_end);
/* From then on `relay` moves bytes: from `in` into the terminal, and from the terminal to `out`. */
void relay_terminal(int terminal, int in, int out);
/* Whether there is a terminal to relay. */
int has_terminal(void);
/* Waits until something can be moved, a child ended, or nothing happened for so long. Returns 0 for the latter. */
int relay(int child_fd, int timeout_ms);
/* Nothing comes from the terminal any more: whoever reads its output sees the end. */
void close_if_silent(void);
/* Everybody is gone: what they wrote last is still in the terminal, and the agent may be slow to read. */
void drain_terminal(void);
#endif
