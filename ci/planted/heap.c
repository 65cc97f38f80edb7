/* heap.c - reads behind a block on the heap: AddressSanitizer must say so. See ci/sanitize. */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    size_t n = 16 * (size_t)argc;
    char *volatile block = calloc(n, 1);

    (void)argv;
    printf("%d\n", block[n]);
    free(block);
    return 0;
}
