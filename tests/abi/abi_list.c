/* abi_list.c - prints the ABI as sdk/abi/MAJOR.MINOR.txt has it; see tests/unit/test_plugin_abi.c.
 *
 *   cc -Isdk/include -I. -o abi_list tests/abi/abi_list.c && ./abi_list > sdk/abi/1.0.txt
 */
#include <stdio.h>

#include "tests/abi/abi_list.h"

int main(void)
{
    for (size_t i = 0; i < ABI_ROWS; i++) {
        const struct abi_row *row = &abi_rows[i];

        if (!row->of)
            printf("%s = %lld\n", row->field, row->value);
        else if (!row->field)
            printf("%s size %zu\n", row->of, row->size);
        else
            printf("%s.%s offset %zu size %zu\n", row->of, row->field, row->offset, row->size);
    }
    return 0;
}
