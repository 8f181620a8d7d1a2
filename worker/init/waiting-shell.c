/*
 * Preloaded into a bash (LD_PRELOAD), which it holds back before its main function to be `init serve`: the processes that
 * wait for a command are forks of it, and each goes on as the bash that its request asks for. To start a bash and to touch
 * its pages for the first time takes longer than a short command.
 *
 * It is the same as to start bash then, but for /proc/PID/environ, which shows of the command's variables only
 * CODEGEN_CALL, for /proc/PID/cmdline, which cuts a long command, and for the addresses, which are the same in all. A
 * request for another program, or with variables that bash's own loader would heed, is executed.
 *
 * Build: cc -std=gnu11 -O2 -Wall -Wextra -shared -fPIC -fvisibility=hidden -o waiting-shell.so waiting-shell.c serve.c terminal.c
 */
#define _GNU_SOURCE
#include "waiting-shell.h"
#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include "serve.h"

#define HEAP_BYTES (64 << 10)
#define STACK_BYTES (32 << 10)
#define MAPS_BYTES (16 << 10)
#define RANGES_MAX 64
#define RANGE_MAX (8 << 20)
#define LARGE_BYTES (1 << 20)
#define SERVER "/opt/codegen/init serve"
#ifndef MADV_POPULATE_READ /* Linux 5.14; before it nothing happens, and bash is slower */
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

/* What a bash uses of its memory before its command, and how. */
static struct range {
    uintptr_t from, to;
    int advice;
} ranges[RANGES_MAX];
static int range_count;

static char *value_of(char **env, const char *name) {
    size_t length = strlen(name);
    for (; *env; env++)
        if (!strncmp(*env, name, length)) return *env + length;
    return NULL;
}

/* No strtoul and no sscanf: a newer C library's are not in an older image's. */
static uintptr_t next_hex(const char **text) {
    uintptr_t number = 0;
    for (;; (*text)++) {
        char c = **text;
        if (c >= '0' && c <= '9') number = number << 4 | (uintptr_t)(c - '0');
        else if (c >= 'a' && c <= 'f') number = number << 4 | (uintptr_t)(c - 'a' + 10);
        else return number;
    }
}

/* Of a line of /proc/self/maps. Of heap and stack as much as a shell may come to use, and nothing of an archive of all the
   world's locales. */
static void learn_range(const char *line, uintptr_t heap_end, uintptr_t stack) {
    struct range range = {.from = next_hex(&line)};
    line++;
    range.to = next_hex(&line);
    const char *rights = line + 1;
    if (rights[0] != 'r' || range.to - range.from > RANGE_MAX || range_count == RANGES_MAX) return;
    range.advice = rights[1] == 'w' ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    if (range.from < heap_end && heap_end < range.to) range.to = heap_end & ~(page - 1);
    if (range.from < stack && stack < range.to) range.from = (stack - STACK_BYTES) & ~(page - 1);
    ranges[range_count++] = range;
}

/* Once, before the forks: those inherit what is touched here. */
static void learn_ranges(void) {
    volatile char stack[STACK_BYTES];
    for (size_t i = 0; i < sizeof stack; i += 1024) stack[i] = 0;
    setlocale(LC_ALL, "C.UTF-8"); /* what most commands run with: its file stays mapped */
    setlocale(LC_ALL, "C");
    volatile char *heap = malloc(HEAP_BYTES);
    for (size_t i = 0; heap && i < HEAP_BYTES; i += 1024) heap[i] = 0;
    char *maps = mmap(NULL, MAPS_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (maps == MAP_FAILED || fd < 0) return; /* slower, and the same otherwise */
    size_t length = 0;
    for (ssize_t n; length < MAPS_BYTES - 1 && (n = read(fd, maps + length, MAPS_BYTES - 1 - length)) > 0;) length += (size_t)n;
    close(fd);
    for (char *line = maps, *end; (end = strchr(line, '\n')); line = end + 1)
        learn_range(line, (uintptr_t)heap + HEAP_BYTES, (uintptr_t)__builtin_frame_address(0));
    free((char *)heap);
    munmap(maps, MAPS_BYTES);
}

/* What cannot be touched ahead stays as it is. */
static void touch_ranges(void) {
    for (int i = 0; i < range_count; i++)
        madvise((void *)ranges[i].from, ranges[i].to - ranges[i].from, ranges[i].advice);
}

/* Whether bash, started now, would be the same as this one. What may be too large the kernel shall judge. */
static int is_for_shell(const struct request *request, char **env) {
    return request->flags & FLAG_SHELL && !(request->flags & FLAG_CHANNEL) && request->argc == 3 && request->length < LARGE_BYTES &&
           !value_of(env, "LD_") && !value_of(env, "GLIBC_TUNABLES=") && !value_of(env, "MALLOC_");
}

/* Into a place of `room` bytes, where others read it in /proc. */
static void show(char *place, size_t room, const char *text) {
    size_t length = strlen(text);
    memset(place, 0, room);
    memcpy(place, text, length < room ? length : room);
}

/* Becomes `init serve`; goes on where it is, in a process of its own, a command's shell. */
__attribute__((constructor)) static void wait_for_command(int argc, char **argv, char **env) {
    const char *wanted = argc == 3 && env ? value_of(env, WAITING_NAME "=") : NULL;
    if (!wanted) return;
    if (!strcmp(wanted, WAITING_PROBE)) _exit(WAITING_WORKS);
    if (strcmp(wanted, WAITING_SERVES)) return;
    prctl(PR_SET_DUMPABLE, 0);
    char *call = NULL;
    for (; *env; env++) {
        if (!strncmp(*env, CALL_NAME, strlen(CALL_NAME))) call = *env;
        else show(*env, strlen(*env), ""); /* meant for this process alone: nobody shall take it over from /proc */
    }
    char *places[] = {argv[0], argv[1], argv[2]};
    const size_t rooms[] = {strlen(argv[0]), strlen(argv[1]), strlen(argv[2])};
    const size_t room = (size_t)(argv[2] - argv[0]) + rooms[2], call_room = call ? strlen(call) : 0;
    show(places[0], room, SERVER);
    prctl(PR_SET_NAME, "init");
    learn_ranges();

    const struct shell shell = {touch_ranges, is_for_shell};
    struct command command = serve(&shell);
    prctl(PR_SET_NAME, "bash");
    show(places[0], room, "");
    for (int i = 0; i < 3; i++) {
        show(places[i], rooms[i], command.argv[i]);
        argv[i] = command.argv[i];
    }
    const char *value = value_of(command.env, CALL_NAME);
    if (call) show(call, call_room, value ? value - strlen(CALL_NAME) : "");
    environ = command.env;
}
