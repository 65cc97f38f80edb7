/* scan.c - see scan.h.
 *
 * The child writes one line per finding, "INDEX TEXT\n", one per element of a file
 * without any, "INDEX +KIND NAME\n", and "INDEX\n" when it is through with a file. The file it was
 * at when it died is the first one without that line; a new child goes on behind it.
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
    const struct scan_job *job;
    size_t at; /* the file the child is at */
    char line[2000];
    size_t len;
};

/* ---- in the child */

struct finder {
    FILE *out;
    size_t index, n_problems;
    bool has_entry;
};

static void tell(void *arg, const char *text)
{
    struct finder *finder = arg;

    finder->n_problems++;
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
        for (size_t i = 0; plugin && !finder->n_problems && plugin->elements[i]; i++)
            fprintf(finder->out, "%zu +%d %s\n", finder->index, plugin->elements[i]->kind,
                    plugin->elements[i]->name);
    }
    fprintf(finder->out, "%zu\n", finder->index);
    fflush(finder->out);
}

__attribute__((noreturn)) static void run_child(const struct scan *scan, int out_fd)
{
    struct rlimit none = {0, 0};
    int null = open("/dev/null", O_RDWR);

    out_fd = fcntl(out_fd, F_DUPFD_CLOEXEC, 3); /* it may be 0 to 2 where those were closed */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &none);
    for (int fd = 0; fd < 3 && null >= 0; fd++)
        dup2(null, fd);
    for (size_t i = scan->at; i < scan->job->n; i++) {
        struct finder finder = {.out = fdopen(dup(out_fd), "w"), .index = i};

        if (!finder.out)
            _exit(1);
        look_at(&finder, scan->job->paths[i], scan->job->host);
        fclose(finder.out);
    }
    _exit(0);
}

/* ---- in the parent */

static void take_element(struct scan *scan, const char *text)
{
    char *name;
    long kind = strtol(text, &name, 10);

    if (scan->job->element && *name == ' ')
        scan->job->element(scan->job->arg, scan->at, (kp_kind)kind, name + 1);
}

static void take_line(struct scan *scan, const char *line)
{
    char *text;
    size_t i = strtoul(line, &text, 10);

    if (text == line || i != scan->at)
        return;
    if (*text != ' ')
        scan->at = i + 1;
    else if (text[1] == '+')
        take_element(scan, text + 2);
    else
        scan->job->problem(scan->job->arg, i, text + 1);
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
    int64_t end = clock_mono_ms() + scan->job->limit_ms;
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
            end = clock_mono_ms() + scan->job->limit_ms;
    }
}

static void report_death(struct scan *scan, int status, bool in_time)
{
    char text[200];

    if (scan->at >= scan->job->n)
        return;
    if (!in_time)
        snprintf(text, sizeof text, "did not answer within %lld s when it was opened",
                 (long long)scan->job->limit_ms / 1000);
    else if (WIFSIGNALED(status))
        snprintf(text, sizeof text, "crashed when it was opened: signal %d, %s", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(text, sizeof text, "ended the process when it was opened, with code %d",
                 WEXITSTATUS(status));
    scan->job->problem(scan->job->arg, scan->at++, text);
}

static bool run_once(struct scan *scan)
{
    int fds[2], status = 0;
    bool in_time;
    pid_t child;

    if (pipe2(fds, O_CLOEXEC))
        return false;
    child = fork();
    if (child == 0) {
        close(fds[0]);
        run_child(scan, fds[1]);
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

void scan_files(const struct scan_job *job)
{
    struct scan scan = {.job = job};

    while (scan.at < job->n) {
        if (!run_once(&scan)) {
            for (; scan.at < job->n; scan.at++)
                job->problem(job->arg, scan.at,
                             "cannot be looked at: no child process could be started");
        }
    }
}
