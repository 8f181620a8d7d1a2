/* What `init serve` and the library that it preloads into a bash (waiting-shell.c) know of each other. */
#ifndef WAITING_SHELL_H
#define WAITING_SHELL_H

#define WAITING_SHELL "/bin/bash"
#define WAITING_LIBRARY "/opt/codegen/waiting-shell.so"
/* The variable that says what the library shall do. */
#define WAITING_NAME "CODEGEN_WAITING"
/* Exit at once with WAITING_WORKS, where it is heeded at all. */
#define WAITING_PROBE "probe"
#define WAITING_WORKS 42
#define WAITING_SERVES "serve"
/* Room for what others are shown in /proc: the command's beginning, and the variable that marks the call's processes. */
#define SHOWN_BYTES 511
#define CALL_NAME "CODEGEN_CALL="
#define CALL_BYTES 160
#endif
