/* race.c - two threads count without a lock: ThreadSanitizer must say so. See ci/sanitize. */
#include <pthread.h>
#include <stdio.h>

static volatile int counter; /* each step is an access of its own */
static pthread_barrier_t both;

static void *count(void *arg)
{
    (void)arg;
    pthread_barrier_wait(&both); /* neither has ended before the other begins */
    for (int i = 0; i < 100000; i++)
        counter++;
    return NULL;
}

int main(void)
{
    pthread_t other;

    pthread_barrier_init(&both, NULL, 2);
    if (pthread_create(&other, NULL, count, NULL))
        return 2;
    count(NULL);
    pthread_join(other, NULL);
    printf("%d\n", counter);
    return 0;
}
