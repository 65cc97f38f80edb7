/* scan.c - see scan.h.
 *
 * The child writes one line per finding, "INDEX TEXT\n", and "INDEX\n" when it is
 * through with a file. The file it was at when it died is the first one without
 * that line; a new child goes on behind it.
 */
#include "core/plugin/scan.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/plugin/describe.h"
#include "core/plugin/elf.h"

typedef const kp_plugin *entry_fn(const kp_host *);

struct scan {
    char *const *paths;
    size_t n, at; /* `at`: the file the child is at */
    int64_t limit_ms;
    void (*fn)(void *arg, size_t i, const char *problem);
    void *arg;
    char line[2000];
    size_t len;
};

/* ---- in the child */

struct finder {
    FILE *out;
    size_t index;
    bool has_entry;
};

static void tell(void *arg, const char *text)
{
    struct finder *finder = arg;

    fprintf(finder->out, "%zu ", finder->index);
    for (; *text; text++)
        fputc(*text == '\n' ? ' ' : *text, finder->out);
    fputc('\n', finder->out);
    fflush(finder->out);
}

static void look_at_symbol(void *arg, const char *name, bool is_undefined)
{
    struct finder *finder = arg;
    char text[300];

    if (!is_undefined && !strcmp(name, "kpipe_plugin")) {
        finder->has_entry = true;
        return;
    }
    if (!is_undefined)
        snprintf(text, sizeof text, "exports %.200s; kpipe_plugin must be the only symbol", name);
    else if (!strcmp(name, "kp") || !strncmp(name, "kp_", 3) || !strncmp(name, "kpw_", 4) ||
             !strncmp(name, "kpipe_", 6))
        snprintf(text, sizeof text, "leaves %.200s undefined; link libkpwire.a into it", name);
    else
        return;
    tell(finder, text);
}

const kp_plugin *scan_open(const char *path, const kp_host *host, char *problem, size_t cap)
{
    void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    entry_fn *entry = so ? (entry_fn *)dlsym(so, "kpipe_plugin") : NULL;
    const char *text = entry ? NULL : dlerror();
    const kp_plugin *plugin;

    if (!entry) {
        if (text && !strncmp(text, path, strlen(path))) /* every message names the file again */
            text += strlen(path) + strspn(text + strlen(path), ": ");
        snprintf(problem, cap, "cannot be opened: %s", text ? text : "no reason was given");
        return NULL;
    }
    plugin = entry(host);
    if (!plugin)
        snprintf(problem, cap, "returned NULL from kpipe_plugin()");
    return plugin;
}

static void look_at(struct finder *finder, const char *path, const kp_host *host)
{
    struct error err = ERROR_INIT;
    const kp_plugin *plugin;
    char text[600];

    if (!elf_symbols(path, look_at_symbol, finder, &err)) {
        tell(finder, err.text);
    } else if (!finder->has_entry) {
        tell(finder, "exports no kpipe_plugin: it is no kpipe plugin");
    } else {
        plugin = scan_open(path, host, text, sizeof text);
        if (plugin)
            describe_check(plugin, tell, finder);
        else
            tell(finder, text);
    }
    fprintf(finder->out, "%zu\n", finder->index);
    fflush(finder->out);
}

__attribute__((noreturn)) static void run_child(const struct scan *scan, const kp_host *host,
                                                int out_fd)
{
    struct rlimit none = {0, 0};
    int null = open("/dev/null", O_RDWR);

    out_fd = fcntl(out_fd, F_DUPFD_CLOEXEC, 3); /* it may be 0 to 2 where those were closed */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &none);
    for (int fd = 0; fd < 3 && null >= 0; fd++)
        dup2(null, fd);
    for (size_t i = scan->at; i < scan->n; i++) {
        struct finder finder = {.out = fdopen(dup(out_fd), "w"), .index = i};

        if (!finder.out)
            _exit(1);
        look_at(&finder, scan->paths[i], host);
        fclose(finder.out);
    }
    _exit(0);
}

/* ---- in the parent */

static void take_line(struct scan *scan, const char *line)
{
    char *text;
    size_t i = strtoul(line, &text, 10);

    if (text == line || i != scan->at)
        return;
    if (*text == ' ')
        scan->fn(scan->arg, i, text + 1);
    else
        scan->at = i + 1;
}

static void take_bytes(struct scan *scan, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] == '\n') {
            scan->line[scan->len] = '\0';
            scan->len = 0;
            take_line(scan, scan->line);
        } else if (scan->len + 1 < sizeof scan->line) {
            scan->line[scan->len++] = bytes[i];
        }
    }
}

/* Reads until the child closes the pipe; false: it took longer than the limit for one file. */
static bool read_all(struct scan *scan, int fd)
{
    int64_t end = clock_mono_ms() + scan->limit_ms;
    char bytes[4096];

    for (;;) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        int64_t left = end - clock_mono_ms();
        size_t before = scan->at;
        ssize_t n;

        if (left <= 0)
            return false;
        if (poll(&poll_fd, 1, (int)left) <= 0)
            continue;
        n = read(fd, bytes, sizeof bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return true;
        take_bytes(scan, bytes, (size_t)n);
        if (scan->at != before)
            end = clock_mono_ms() + scan->limit_ms;
    }
}

static void report_death(struct scan *scan, int status, bool in_time)
{
    char text[200];

    if (scan->at >= scan->n)
        return;
    if (!in_time)
        snprintf(text, sizeof text, "did not answer within %lld s when it was opened",
                 (long long)scan->limit_ms / 1000);
    else if (WIFSIGNALED(status))
        snprintf(text, sizeof text, "crashed when it was opened: signal %d, %s", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(text, sizeof text, "ended the process when it was opened, with code %d",
                 WEXITSTATUS(status));
    scan->fn(scan->arg, scan->at++, text);
}

static bool run_once(struct scan *scan, const kp_host *host)
{
    int fds[2], status = 0;
    bool in_time;
    pid_t child;

    if (pipe2(fds, O_CLOEXEC))
        return false;
    child = fork();
    if (child == 0) {
        close(fds[0]);
        run_child(scan, host, fds[1]);
    }
    close(fds[1]);
    if (child < 0) {
        close(fds[0]);
        return false;
    }
    scan->len = 0;
    in_time = read_all(scan, fds[0]);
    close(fds[0]);
    if (!in_time)
        kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    report_death(scan, status, in_time);
    return true;
}

void scan_files(char *const *paths, size_t n, const kp_host *host, int64_t limit_ms,
                void (*fn)(void *arg, size_t i, const char *problem), void *arg)
{
    struct scan scan = {.paths = paths, .n = n, .limit_ms = limit_ms, .fn = fn, .arg = arg};

    while (scan.at < scan.n) {
        if (!run_once(&scan, host)) {
            for (; scan.at < scan.n; scan.at++)
                fn(arg, scan.at, "cannot be looked at: no child process could be started");
        }
    }
}
