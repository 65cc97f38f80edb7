/* cli_option.c - the options of a command line; see cli.h. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "core/base/suggest.h"
#include "core/cli/cli.h"
#include "core/net/http_listen.h"

static const char *name_of(const struct option *options, int value)
{
    for (; options->name; options++)
        if (options->val == value)
            return options->name;
    return "?";
}

/* `argument` is what getopt_long() stumbled over. */
static void complain(const char *command, const char *argument, const struct option *options)
{
    size_t len = strcspn(argument, "=");
    struct suggest suggest;
    char name[80];
    const char *best;

    snprintf(name, sizeof name, "%.*s", (int)len, argument);
    suggest = suggest_for(name + strspn(name, "-"));
    for (; options->name; options++)
        suggest_try(&suggest, options->name);
    best = suggest_best(&suggest);
    if (best)
        fprintf(stderr, "kpipe: %s has no option %s; did you mean --%s?\n", command, name, best);
    else
        fprintf(stderr, "kpipe: %s has no option %s; `kpipe %s --help` lists them\n", command, name,
                command);
}

int cli_option(int argc, char **argv, const struct option *options)
{
    int option;

    opterr = 0;
    option = getopt_long(argc, argv, ":h", options, NULL);
    if (option == ':')
        fprintf(stderr, "kpipe: --%s wants a value\n", name_of(options, optopt));
    else if (option == '?' && optopt && strchr(argv[optind - 1], '='))
        fprintf(stderr, "kpipe: --%s takes no value\n", name_of(options, optopt));
    else if (option == '?')
        complain(argv[0], argv[optind - 1], options);
    return option == ':' ? '?' : option;
}

bool cli_check_address(const char *value)
{
    if (http_listen_is_address(value))
        return true;
    fprintf(stderr,
            "kpipe: --listen wants an address such as 127.0.0.1:4566 or [::1]:0, not \"%s\"\n",
            value);
    return false;
}
