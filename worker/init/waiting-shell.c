/*
 * Preloaded into a bash that `init serve` starts before there is a command for it (LD_PRELOAD): holds it back before its
 * main function until the request comes, and lets it go on as the bash that this asks for. What a shell does before it
 * reads its first word, above all the pages it touches for the first time, takes longer than a short command.
 *
 * It is the same as to start bash then, but for /proc/PID/environ, which shows of the command's variables only
 * CODEGEN_CALL, and for /proc/PID/cmdline, which cuts a long command. A request for another program, or with variables
 * that bash's own loader would heed, is executed as by `init serve` itself.
 *
 * Build: cc -std=gnu11 -O2 -Wall -Wextra -shared -fPIC -o waiting-shell.so waiting-shell.c
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <link.h>
#include <locale.h>
#include <stdlib.h>
#include "request.h"
#include "waiting-shell.h"

#define HEAP_BYTES (64 << 10)
#define STACK_BYTES (32 << 10)
#define LARGE_BYTES (1 << 20)
#ifndef MADV_POPULATE_READ /* Linux 5.14; before it nothing happens, and bash is slower */
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

static char *value_of(char **env, const char *name) {
    size_t length = strlen(name);
    for (; *env; env++)
        if (!strncmp(*env, name, length)) return *env + length;
    return NULL;
}

/* No strtol and no sscanf: a newer C library's are not in an older image's. */
static int next_number(const char **text) {
    int number = 0;
    while (**text == ' ') (*text)++;
    for (; **text >= '0' && **text <= '9'; (*text)++) number = number * 10 + **text - '0';
    return number;
}

static void populate(uintptr_t from, uintptr_t to, int advice) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), start = from & ~(page - 1);
    if (to > start) madvise((void *)start, to - start, advice);
}

/* The pages of one loaded file. Those that are read-only once they are relocated were written to already. */
static int touch_object(struct dl_phdr_info *info, size_t size, void *data) {
    (void)size, (void)data;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), relocated_end = 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_GNU_RELRO) relocated_end = (info->dlpi_addr + part->p_vaddr + part->p_memsz) & ~(page - 1);
    }
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD) continue;
        uintptr_t from = info->dlpi_addr + part->p_vaddr, to = from + part->p_memsz;
        if (!(part->p_flags & PF_W)) populate(from, to, MADV_POPULATE_READ);
        else populate(from > relocated_end ? from : relocated_end, to, MADV_POPULATE_WRITE);
    }
    return 0;
}

static void touch_all(void) {
    dl_iterate_phdr(touch_object, NULL);
    volatile char stack[STACK_BYTES];
    for (size_t i = 0; i < sizeof stack; i += 1024) stack[i] = 0;
    volatile char *heap = malloc(HEAP_BYTES);
    for (size_t i = 0; heap && i < HEAP_BYTES; i += 1024) heap[i] = 0;
    free((char *)heap);
    setlocale(LC_ALL, "C.UTF-8"); /* what most commands run with: its file stays mapped */
    setlocale(LC_ALL, "C");
}

/* Into the place of `shown`, where others read it in /proc. */
static void show(char *shown, const char *text) {
    size_t room = strlen(shown), length = strlen(text);
    memcpy(shown, text, length < room ? length : room);
    if (length < room) memset(shown + length, 0, room - length);
}

/* Whether bash, started now, would be the same as this one. What may be too large the kernel shall judge. */
static int is_for_us(const struct request *request, char **env) {
    return request->flags & FLAG_SHELL && !(request->flags & FLAG_CHANNEL) && request->argc == 3 && request->length < LARGE_BYTES &&
           !value_of(env, "LD_") && !value_of(env, "GLIBC_TUNABLES=") && !value_of(env, "MALLOC_");
}

__attribute__((constructor)) static void wait_for_command(int argc, char **argv, char **env) {
    const char *given = argc == 3 && env ? value_of(env, WAITING_NAME "=") : NULL;
    if (!given) return;
    if (!strcmp(given, WAITING_PROBE)) _exit(WAITING_WORKS);
    int waits[ENDS];
    for (int i = 0; i < ENDS; i++) waits[i] = next_number(&given);
    const struct ends ends = {waits[0], waits[1], waits[2], {waits[3], waits[4]}};
    touch_all();

    struct request request;
    read_all(ends.control, &request, sizeof request);
    if (request.flags & FLAG_TERMINAL) { /* the runner's task */
        if (write(ends.status, &request, sizeof request) < 0) { /* the runner sees our exit */ }
        _exit(0);
    }
    struct command command = read_command(ends.control, &request);
    int has_channel = request.flags & FLAG_CHANNEL;
    if (take_place(&request, &ends, -1, command.cwd) != 0) tell_failure(ends.status);
    if (!is_for_us(&request, command.env)) {
        for (int i = 0; i < ENDS; i++)
            if (!has_channel || waits[i] < CHANNEL_FD || waits[i] > CHANNEL_FD + 1) fcntl(waits[i], F_SETFD, FD_CLOEXEC);
        execve(command.argv[0], command.argv, command.env);
        tell_failure(ends.status);
    }
    for (int i = 0; i < ENDS; i++) close(waits[i]);
    show(argv[2], command.argv[2]);
    const char *call = value_of(command.env, CALL_NAME);
    size_t name_length = strlen(CALL_NAME);
    for (; *env; env++) /* the others were meant for this process alone: nobody shall take them over from /proc */
        show(*env, call && !strncmp(*env, CALL_NAME, name_length) ? call - name_length : "");
    for (int i = 0; i < argc; i++) argv[i] = command.argv[i];
    environ = command.env;
}
