/* disk.c - what the disk below a file gives: writes a chunk and waits for it (fdatasync), again and
 * again, in files of 64 MiB.
 *
 * usage: disk FILE CHUNK_BYTES SECONDS    prints MB/s and milliseconds per chunk; removes FILE.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FILE_BYTES ((size_t)64 << 20)

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* One file, whole; returns the chunks, or -1. */
static long fill(const char *path, const char *chunk, size_t size, double until)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    long n = 0;

    for (size_t at = 0; fd >= 0 && n >= 0 && at + size <= FILE_BYTES && now() < until; at += size)
        n = pwrite(fd, chunk, size, (off_t)at) == (ssize_t)size && !fdatasync(fd) ? n + 1 : -1;
    if (fd >= 0)
        close(fd);
    return fd >= 0 ? n : -1;
}

int main(int argc, char **argv)
{
    size_t size = argc == 4 ? (size_t)atol(argv[2]) : 0;
    char *chunk = size && size <= FILE_BYTES ? malloc(size) : NULL;
    double start = now(), spent;
    long all = 0, n = 0;

    if (!chunk)
        return 2;
    memset(chunk, 'x', size);
    while (n >= 0 && now() - start < atof(argv[3])) {
        n = fill(argv[1], chunk, size, start + atof(argv[3]));
        all += n;
    }
    spent = now() - start;
    unlink(argv[1]);
    free(chunk);
    if (n < 0 || !all) {
        perror(argv[1]);
        return 1;
    }
    printf("%.0f %.2f\n", (double)all * (double)size / spent / 1e6, spent * 1e3 / (double)all);
    return 0;
}
