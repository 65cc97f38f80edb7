/* slow_server.c - an HTTP endpoint that takes its time: answers each request after a fixed delay.
 *
 * One thread, epoll, keep-alive. All requests wait equally long, so those under way form a queue
 * in order of arrival and one timer is enough. Requests are GETs, one at a time per connection; a
 * request ends with an empty line, nothing else of it is looked at. It takes real-time priority
 * where it may, so that the delay is what it should be also while others work.
 *
 * usage: slow_server DELAY_US    prints "ready PORT" and serves 127.0.0.1 until it is ended.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define MAX_FD   4096
#define MAX_HEAD 4096

struct waiting {
    int64_t due_ns;
    int fd;
};

static struct waiting queue[MAX_FD]; /* a ring: a connection is in it at most once */
static size_t first, n_waiting;
static struct {
    char head[MAX_HEAD];
    size_t len;
} conns[MAX_FD];

static const char answer[] = "HTTP/1.1 200 OK\r\n"
                             "Content-Type: application/json\r\n"
                             "Content-Length: 12\r\n"
                             "\r\n"
                             "{\"fare\":1.5}";

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int listen_anywhere(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 1024) ||
        getsockname(fd, (struct sockaddr *)&at, &len))
        die("slow_server: listen");
    printf("ready %u\n", ntohs(at.sin_port));
    fflush(stdout);
    return fd;
}

static void watch(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
        die("slow_server: epoll_ctl");
}

static void accept_all(int epoll, int listener)
{
    int fd, on = 1;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (fd >= MAX_FD) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        conns[fd].len = 0;
        watch(epoll, fd);
    }
}

/* A connection that is closed while its request waits leaves the queue as number -1. */
static void drop(int fd)
{
    for (size_t i = 0; i < n_waiting; i++)
        if (queue[(first + i) % MAX_FD].fd == fd)
            queue[(first + i) % MAX_FD].fd = -1;
    close(fd);
}

static void read_request(int fd, int64_t delay_ns)
{
    char *head = conns[fd].head;
    size_t *len = &conns[fd].len;
    ssize_t n = read(fd, head + *len, MAX_HEAD - *len);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        drop(fd);
        return;
    }
    *len += (size_t)n;
    if (*len < 4 || memcmp(head + *len - 4, "\r\n\r\n", 4) != 0)
        return;
    *len = 0;
    if (n_waiting == MAX_FD)
        die("slow_server: too many requests");
    queue[(first + n_waiting++) % MAX_FD] = (struct waiting){now_ns() + delay_ns, fd};
}

static void answer_due(void)
{
    int64_t now = now_ns();

    while (n_waiting && queue[first].due_ns <= now) {
        int fd = queue[first].fd;

        first = (first + 1) % MAX_FD;
        n_waiting--;
        if (fd >= 0 && write(fd, answer, sizeof answer - 1) != sizeof answer - 1)
            drop(fd);
    }
}

static void set_timer(int timer)
{
    struct itimerspec at = {0};

    if (n_waiting) {
        at.it_value.tv_sec = queue[first].due_ns / 1000000000;
        at.it_value.tv_nsec = queue[first].due_ns % 1000000000;
    }
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
}

int main(int argc, char **argv)
{
    int64_t delay_ns = argc > 1 ? atoll(argv[1]) * 1000 : 10000000;
    int epoll = epoll_create1(EPOLL_CLOEXEC), listener = listen_anywhere();
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct sched_param realtime = {.sched_priority = 1};
    struct epoll_event events[256];

    (void)sched_setscheduler(0, SCHED_FIFO, &realtime);
    prctl(PR_SET_TIMERSLACK, 1UL);
    if (epoll < 0 || timer < 0)
        die("slow_server");
    watch(epoll, listener);
    watch(epoll, timer);
    for (;;) {
        int n = epoll_wait(epoll, events, 256, -1);
        uint64_t rung;

        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;

            if (fd == listener)
                accept_all(epoll, listener);
            else if (fd == timer)
                (void)!read(timer, &rung, sizeof rung);
            else
                read_request(fd, delay_ns);
        }
        answer_due();
        set_timer(timer);
    }
}
