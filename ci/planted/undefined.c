/* undefined.c - a signed sum runs over: UndefinedBehaviorSanitizer must say so. See ci/sanitize. */
#include <limits.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    int sum = INT_MAX;

    (void)argv;
    sum += argc;
    printf("%d\n", sum);
    return 0;
}
