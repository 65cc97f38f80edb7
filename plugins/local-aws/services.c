/* services.c - the rows of all services, by their number. */
#include "plugins/local-aws/local.h"

#define ROW(NAME, name) [LOCAL_##NAME] = &local_##name,
const struct local_row *const local_rows[LOCAL_N_SERVICES] = {LOCAL_SERVICES(ROW)};
