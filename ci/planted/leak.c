/* leak.c - forgets a block: LeakSanitizer must say so. See ci/sanitize. */
#include <stdlib.h>
#include <string.h>

int main(void)
{
    char *volatile block = malloc(100);

    memset(block, 1, 100);
    block = NULL;
    return 0;
}
