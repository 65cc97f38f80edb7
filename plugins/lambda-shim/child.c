/* child.c - see shim.h: processes that run functions.
 *
 * A child has its own process group, no descriptor of ours but 0 to 2, the
 * default signal set, and dies with the worker that made it (PDEATHSIG). Output
 * of both kinds comes through one pipe; its end is seen by a pidfd, so that no
 * SIGCHLD handler is needed and nobody else's children are touched.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugins/lambda-shim/shim.h"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void default_signals(void)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int i = 1; i < 32; i++)
        if (i != SIGKILL && i != SIGSTOP)
            signal(i, SIG_DFL);
}

/* Between fork and exec: only calls that are safe there. */
static void become(const struct process_start *start, char *const *argv, pid_t parent, int output,
                   int error)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC), why;

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    default_signals();
    if (null < 0 || dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0)
        goto out;
    if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0)
        goto out;
    if (start->directory && chdir(start->directory) != 0)
        goto out;
    execvpe(argv[0], argv, start->env);
out:
    why = errno;
    if (write(error, &why, sizeof why) < 0)
        _exit(126);
    _exit(127);
}

/* Waits until the child has become the program, or has said why it cannot. */
static int exec_errno(int fd)
{
    int why = 0;
    ssize_t n;

    do
        n = read(fd, &why, sizeof why);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof why ? why : 0;
}

static char **argv_of(const kp_list *command)
{
    char **argv = calloc(command->count + 1, sizeof *argv);

    for (size_t i = 0; argv && i < command->count; i++)
        argv[i] = (char *)(uintptr_t)command->items[i];
    return argv;
}

bool process_spawn(struct process *process, const struct process_start *start, int *ret_errno)
{
    int output[2] = {-1, -1}, error[2] = {-1, -1}, why = 0;
    char **argv = argv_of(start->command);
    pid_t parent = getpid();

    process->pid = 0;
    process->pidfd = process->output = -1;
    process->line_len = 0;
    if (!argv || pipe2(output, O_CLOEXEC) != 0 || pipe2(error, O_CLOEXEC) != 0) {
        why = argv ? errno : ENOMEM;
        goto out;
    }
    process->pid = fork();
    if (process->pid == 0)
        become(start, argv, parent, output[1], error[1]);
    if (process->pid < 0) {
        why = errno;
        process->pid = 0;
        goto out;
    }
    setpgid(process->pid, process->pid); /* both sides: whoever comes first */
    close_fd(&error[1]);
    why = exec_errno(error[0]);
    if (why) {
        waitpid(process->pid, NULL, 0);
        process->pid = 0;
        goto out;
    }
    process->pidfd = (int)syscall(SYS_pidfd_open, process->pid, 0);
    if (process->pidfd < 0) {
        why = errno;
        process_kill(process);
        goto out;
    }
    fcntl(output[0], F_SETFL, O_NONBLOCK);
    process->output = output[0];
    output[0] = -1; /* moved */
out:
    close_fd(&output[0]);
    close_fd(&output[1]);
    close_fd(&error[0]);
    close_fd(&error[1]);
    free(argv);
    *ret_errno = why;
    return why == 0;
}

/* Hands over the complete lines of what has been read; a line that fills the buffer is cut. */
static void take_lines(struct process *process, void (*fn)(void *, const char *, size_t), void *arg)
{
    char *at = process->line, *end = at + process->line_len, *newline;

    while ((newline = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        fn(arg, at, (size_t)(newline - at));
        at = newline + 1;
    }
    if (at == process->line && process->line_len == sizeof process->line) {
        fn(arg, at, process->line_len);
        at = end;
    }
    process->line_len = (size_t)(end - at);
    memmove(process->line, at, process->line_len);
}

bool process_read(struct process *process, void (*fn)(void *, const char *, size_t), void *arg)
{
    for (int turns = 0; turns < 64; turns++) { /* a chatty child does not stop the loop */
        ssize_t n = read(process->output, process->line + process->line_len,
                         sizeof process->line - process->line_len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return true;
        if (n <= 0) {
            if (process->line_len)
                fn(arg, process->line, process->line_len);
            process->line_len = 0;
            return false;
        }
        process->line_len += (size_t)n;
        take_lines(process, fn, arg);
    }
    return true;
}

bool process_reap(struct process *process, char *ret_text, bool *ret_clean)
{
    siginfo_t info = {0};

    if (!process->pid ||
        waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || !info.si_pid)
        return false;
    /* What the program left behind in its group goes with it, while the number is still ours. */
    process_kill(process);
    *ret_clean = info.si_code == CLD_EXITED && info.si_status == 0;
    if (info.si_code == CLD_EXITED)
        snprintf(ret_text, 64, "exit status %d", info.si_status);
    else
        snprintf(ret_text, 64, "signal: %s",
                 info.si_status == SIGKILL ? "killed" : strsignal(info.si_status));
    return true;
}

void process_kill(struct process *process)
{
    if (!process->pid)
        return;
    kill(-process->pid, SIGKILL);
    kill(process->pid, SIGKILL); /* should it not have its group yet */
    while (waitpid(process->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    process->pid = 0;
}

void process_close(struct process *process)
{
    process_kill(process);
    close_fd(&process->pidfd);
    close_fd(&process->output);
}
