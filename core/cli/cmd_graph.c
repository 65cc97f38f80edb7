/* cmd_graph.c - `kpipe graph FILE`: the flows as a picture in text, DOT or Mermaid. */
#include <getopt.h>
#include <stdio.h>

#include "core/cli/cli.h"

static const char usage[] =
    "usage: kpipe graph FILE [--dot | --mermaid] [--set NAME=VALUE] [--aws]\n"
    "\n"
    "Draws the stages of every flow; flows that meet in a stream or queue are drawn connected.\n"
    "\n"
    "  --dot              for Graphviz: kpipe graph FILE --dot | dot -Tsvg > graph.svg\n"
    "  --mermaid          for Markdown\n"
    "  --set NAME=VALUE   gives a parameter of k.params a value; may be repeated\n"
    "  --aws              as on the real AWS: k.is_local is false\n";

int cmd_graph(int argc, char **argv)
{
    static const struct option options[] = {
        {"dot", no_argument, NULL, 'd'},       {"mermaid", no_argument, NULL, 'm'},
        {"set", required_argument, NULL, 's'}, {"aws", no_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},      {0}};
    struct cli_plan loaded = {0};
    enum graph_form form = GRAPH_TEXT;
    int code = EXIT_CONFIG, c;
    bool local = true;

    while ((c = cli_option(argc, argv, options)) != -1) {
        if (c == 'h') {
            fputs(usage, stdout);
            code = EXIT_DELIVERED;
            goto out;
        }
        if (c == 'a')
            local = false;
        else if (c == 'd' || c == 'm')
            form = c == 'd' ? GRAPH_DOT : GRAPH_MERMAID;
        else if (c != 's' || !cli_plan_set(&loaded, optarg))
            goto out;
    }
    if (argc != optind + 1) {
        fputs(usage, stderr);
        goto out;
    }
    if (cli_plan_load(&loaded, argv[optind], local)) {
        plan_graph(loaded.plan, form, stdout);
        code = EXIT_DELIVERED;
    }
out:
    cli_plan_fini(&loaded);
    return code;
}
