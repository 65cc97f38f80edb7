/* race.c - two threads count without a lock: ThreadSanitizer must say so. See ci/sanitize. */
#include <pthread.h>
#include <stdio.h>

static int counter;

static void *count(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++)
        counter++;
    return NULL;
}

int main(void)
{
    pthread_t other;

    if (pthread_create(&other, NULL, count, NULL))
        return 2;
    count(NULL);
    pthread_join(other, NULL);
    printf("%d\n", counter);
    return 0;
}
