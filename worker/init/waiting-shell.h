/* What `init serve` and the shell that waits (waiting-shell.c) know of each other. */
#ifndef WAITING_SHELL_H
#define WAITING_SHELL_H

#define WAITING_SHELL "/bin/bash"
#define WAITING_LIBRARY "/opt/codegen/waiting-shell.so"
/* The variable that names the waiting shell's descriptors, as in `struct ends`. */
#define WAITING_NAME "CODEGEN_WAITING"
#define WAITING_FORMAT "%d %d %d %d %d"
/* Instead of descriptors: exits at once with WAITING_WORKS, where the library is heeded at all. */
#define WAITING_PROBE "probe"
#define WAITING_WORKS 42
/* Room for what others are shown in /proc: the command's beginning, and the variable that marks the call's processes. */
#define SHOWN_BYTES 511
#define CALL_NAME "CODEGEN_CALL="
#define CALL_BYTES 160
#endif
