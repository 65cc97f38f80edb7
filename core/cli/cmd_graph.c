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

static void set(void *form, int option)
{
    *(enum graph_form *)form = option == 'd' ? GRAPH_DOT : GRAPH_MERMAID;
}

static void look(const void *form, const char *file, const struct plan *plan)
{
    (void)file;
    plan_graph(plan, *(const enum graph_form *)form, stdout);
}

int cmd_graph(int argc, char **argv)
{
    static const struct option options[] = {
        {"dot", no_argument, NULL, 'd'},       {"mermaid", no_argument, NULL, 'm'},
        {"set", required_argument, NULL, 's'}, {"aws", no_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},      {0}};
    enum graph_form form = GRAPH_TEXT;

    return cli_look(
        argc, argv,
        &(struct cli_look){
            .usage = usage, .options = options, .set = set, .look = look, .arg = &form});
}
