/* cmd_plugin.c - `kpipe plugin check FILE.so ...`: would kpipe load it? */
#include <stdio.h>
#include <string.h>

#include "core/cli/cli.h"
#include "core/plugin/plugins.h"
#include "core/run/host.h"

static const char usage[] =
    "usage: kpipe plugin check FILE.so ...\n"
    "\n"
    "Opens each file in a child process and checks that it exports exactly kpipe_plugin, leaves\n"
    "no kpipe symbol undefined, fits this ABI, and describes its elements and options sanely.\n"
    "One line per problem; exit code 2 when there is one.\n";

int cmd_plugin(int argc, char **argv)
{
    size_t problems = 0;

    if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
        fputs(usage, stdout);
        return 0;
    }
    if (argc < 3 || strcmp(argv[1], "check")) {
        fputs(usage, stderr);
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        size_t found = plugin_problems(argv[i], host_table(), stderr);

        if (!found)
            printf("%s: ok\n", argv[i]);
        problems += found;
    }
    return problems ? 2 : 0;
}
