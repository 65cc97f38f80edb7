/* first_answer.c - how long a server takes from its start to its first answer.
 *
 * Starts the command, waits for its line "ready http://ADDRESS:PORT", asks for / there, and waits
 * for the first byte of an answer. Then ends the command with SIGTERM and waits for it. With -p the
 * command says nothing: the port is asked until something answers.
 *
 * usage: first_answer [-p PORT] COMMAND [ARG ...]    prints milliseconds to the line and to the
 * answer, and the kB of memory (VmRSS) the server has by then.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static pid_t start(char **argv, FILE **ret_lines)
{
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) || (pid = fork()) < 0)
        return -1;
    if (!pid) {
        dup2(ends[1], 1);
        execvp(argv[0], argv);
        perror(argv[0]);
        _exit(127);
    }
    close(ends[1]);
    *ret_lines = fdopen(ends[0], "r");
    return pid;
}

static int ask(unsigned port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((unsigned short)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), ok;
    char byte;

    ok = fd >= 0 && !connect(fd, (struct sockaddr *)&at, sizeof at) &&
         write(fd, request, sizeof request - 1) == sizeof request - 1 && read(fd, &byte, 1) == 1;
    close(fd);
    return ok;
}

static long rss_kb(pid_t pid)
{
    char path[64], line[256];
    long kb = -1;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    file = fopen(path, "re");
    while (file && kb < 0 && fgets(line, sizeof line, file))
        sscanf(line, "VmRSS: %ld", &kb);
    if (file)
        fclose(file);
    return kb;
}

/* The port of the line, 0 if the command ends without one. */
static unsigned read_line(FILE *lines)
{
    char line[256] = "", *colon;

    if (!fgets(line, sizeof line, lines) || strncmp(line, "ready http://", 13) != 0)
        return 0;
    colon = strrchr(line, ':');
    return colon ? (unsigned)atoi(colon + 1) : 0;
}

/* Asks once a millisecond, until the command has ended. */
static int ask_until(pid_t pid, unsigned port)
{
    struct timespec pause = {.tv_nsec = 1000000};

    while (!ask(port)) {
        if (waitpid(pid, NULL, WNOHANG) != 0)
            return 0;
        nanosleep(&pause, NULL);
    }
    return 1;
}

int main(int argc, char **argv)
{
    int is_silent = argc > 3 && !strcmp(argv[1], "-p"), ok = 0;
    unsigned port = is_silent ? (unsigned)atoi(argv[2]) : 0;
    double begin = now_ms(), ready = 0, answered = 0;
    FILE *lines = NULL;
    pid_t pid = argc > 1 ? start(argv + (is_silent ? 3 : 1), &lines) : -1;

    if (pid < 0 || !lines)
        return 2;
    if (!is_silent)
        port = read_line(lines);
    ready = now_ms();
    ok = port && ask_until(pid, port);
    answered = now_ms();
    if (ok)
        printf("%.1f %.1f %ld\n", ready - begin, answered - begin, rss_kb(pid));
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    fclose(lines);
    return !ok;
}
