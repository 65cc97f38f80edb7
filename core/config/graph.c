/* graph.c - plan_graph(): the flows of a plan as text, DOT or Mermaid.
 *
 * A flow reads the resources of its source and writes those of its sink and of
 * its on_failure sink. Where one flow writes what another reads, they are drawn
 * connected. The text is a forest: a flow stands below the first flow that
 * writes what it reads.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/config/load.h"
#include "sdk/wire/slice.h"

#define WIDTH 100 /* columns; a longer flow goes on in the next line */

struct graph {
    const struct plan *plan;
    FILE *out;
    bool *is_drawn; /* one per flow [owned] */
    size_t label;   /* columns of the longest flow name */
};

/* ---- what flows read and write */

static bool same(const kp_resource *a, const kp_resource *b)
{
    return a && b && (a == b || (!strcmp(a->kind, b->kind) && !strcmp(a->name, b->name)));
}

/* The first resource of a node's options from the `*at`th on, which moves behind it; NULL: no more.
 * Groups are not looked into: no element has a resource there. */
static const kp_resource *next_resource(const struct plan_node *node, size_t *at)
{
    const struct setting *values = node->values, *setting = values->first;

    for (size_t i = 0; setting; setting = setting->next, i++)
        if (i >= *at && setting->kind == SETTING_RESOURCE) {
            *at = i + 1;
            return setting->resource;
        }
    return NULL;
}

static bool uses(const struct plan_node *node, const kp_resource *resource)
{
    const kp_resource *one;
    size_t at = 0;

    while ((one = next_resource(node, &at)))
        if (same(one, resource))
            return true;
    return false;
}

/* The next resource that a sink of the flow writes. What the flow's source reads is only named. */
static const kp_resource *next_written(const struct plan_flow *flow, const struct plan_node *sink,
                                       size_t *at)
{
    const kp_resource *one;

    while ((one = next_resource(sink, at)) && uses(&flow->nodes[0], one))
        ;
    return one;
}

static const struct plan_node *sink_of(const struct plan_flow *flow)
{
    return &flow->nodes[flow->n_nodes - 1];
}

/* True if the flow reads something that the sink of `from` writes. */
static bool is_fed(const struct plan_flow *flow, const struct plan_flow *from,
                   const struct plan_node *sink)
{
    const kp_resource *one;
    size_t at = 0;

    while (sink && flow != from && (one = next_written(from, sink, &at)))
        if (uses(&flow->nodes[0], one))
            return true;
    return false;
}

/* The sink whose readers are drawn below the flow: its own, or else that of on_failure. */
static const struct plan_node *feeding_sink(const struct plan *plan, const struct plan_flow *flow)
{
    for (size_t i = 0; i < plan->n_flows; i++)
        if (is_fed(&plan->flows[i], flow, sink_of(flow)))
            return sink_of(flow);
    return flow->on_failure;
}

/* ---- text */

/* Columns of UTF-8 text; everything here is one wide. */
static size_t columns(const struct kpw_buf *line)
{
    size_t n = 0;

    for (size_t i = 0; i < line->len; i++)
        n += (line->ptr[i] & 0xc0) != 0x80;
    return n;
}

static void put_dashes(struct kpw_buf *line, size_t until)
{
    for (size_t n = columns(line); n < until; n++)
        kpw_buf_puts(line, "─");
}

static void put_blanks(struct kpw_buf *line, size_t until)
{
    for (size_t n = columns(line); n < until; n++)
        kpw_buf_putc(line, ' ');
}

/* One flow while it is drawn: its lines, the first ones of the flow, the last of on_failure. */
struct drawing {
    struct graph *graph;
    const char *first, *rest; /* what stands left of the first and of all other lines */
    struct kpw_buf lines[64];
    size_t n;
};

static void begin_line(struct drawing *drawing, const char *label)
{
    struct graph *graph = drawing->graph;
    struct kpw_buf *line;

    if (drawing->n == sizeof drawing->lines / sizeof *drawing->lines)
        return; /* a flow of hundreds of stages: the last line becomes long */
    line = &drawing->lines[drawing->n++];
    kpw_buf_puts(line, label);
    put_blanks(line, graph->label + 2);
    kpw_buf_puts(line, drawing->n == 1 ? drawing->first : drawing->rest);
}

/* "─▶ text", in a new line when the old one is full. */
static void put_step(struct drawing *drawing, const char *text)
{
    struct kpw_buf *line = &drawing->lines[drawing->n - 1];

    if (columns(line) + strlen(text) + 4 > WIDTH) {
        begin_line(drawing, "");
        line = &drawing->lines[drawing->n - 1];
        kpw_buf_puts(line, "  ─▶ ");
    } else {
        kpw_buf_puts(line, " ─▶ ");
    }
    kpw_buf_puts(line, text);
}

static void put_resource_step(struct drawing *drawing, const kp_resource *resource)
{
    char *text = mem_fmt("(%s %s)", resource->kind, resource->name);

    put_step(drawing, text);
    free(text);
}

static void put_written(struct drawing *drawing, const struct plan_flow *flow,
                        const struct plan_node *sink)
{
    const kp_resource *one;
    size_t at = 0;

    while ((one = next_written(flow, sink, &at)))
        put_resource_step(drawing, one);
}

/* What the source reads, unless the flow stands below the one that writes it. */
static bool put_read(struct drawing *drawing, const struct plan_flow *flow, bool is_below)
{
    const kp_resource *one;
    size_t at = 0;
    bool any = false;

    while (!is_below && (one = next_resource(&flow->nodes[0], &at))) {
        kpw_buf_appendf(&drawing->lines[0], "%s(%s %s)", any ? ", " : "", one->kind, one->name);
        any = true;
    }
    return any;
}

static void draw_lines(struct drawing *drawing, const struct plan_flow *flow, bool is_below,
                       size_t *ret_main)
{
    bool any;

    begin_line(drawing, flow->name);
    any = put_read(drawing, flow, is_below);
    for (size_t i = 0; i < flow->n_nodes; i++)
        if (i || any)
            put_step(drawing, flow->nodes[i].stage);
        else
            kpw_buf_puts(&drawing->lines[0], flow->nodes[i].stage);
    put_written(drawing, flow, sink_of(flow));
    *ret_main = drawing->n - 1;
    if (!flow->on_failure)
        return;
    begin_line(drawing, "");
    kpw_buf_puts(&drawing->lines[drawing->n - 1], "└╌ on failure");
    put_step(drawing, flow->on_failure->stage);
    put_written(drawing, flow, flow->on_failure);
}

/* From the end of line `from` out to the right and back to the left edge below. */
static void draw_way_back(struct drawing *drawing, size_t from)
{
    size_t right = 0, left = drawing->graph->label + 2;
    struct kpw_buf edge = KPW_BUF_INIT;

    for (size_t i = from; i < drawing->n; i++)
        if (columns(&drawing->lines[i]) > right)
            right = columns(&drawing->lines[i]);
    kpw_buf_putc(&drawing->lines[from], ' ');
    put_dashes(&drawing->lines[from], right + 2);
    kpw_buf_puts(&drawing->lines[from], "┐");
    for (size_t i = from + 1; i < drawing->n; i++) {
        put_blanks(&drawing->lines[i], right + 2);
        kpw_buf_puts(&drawing->lines[i], "│");
    }
    if (drawing->n == sizeof drawing->lines / sizeof *drawing->lines)
        return;
    put_blanks(&edge, left);
    kpw_buf_puts(&edge, drawing->rest);
    kpw_buf_puts(&edge, "┌");
    put_dashes(&edge, right + 2);
    kpw_buf_puts(&edge, "┘");
    drawing->lines[drawing->n++] = edge;
}

static void write_lines(struct drawing *drawing)
{
    for (size_t i = 0; i < drawing->n; i++) {
        struct kpw_buf *line = &drawing->lines[i];

        while (line->len && line->ptr[line->len - 1] == ' ')
            line->len--;
        fwrite(line->ptr, 1, line->len, drawing->graph->out);
        fputc('\n', drawing->graph->out);
        kpw_buf_fini(line);
    }
}

static void draw_flow(struct graph *graph, size_t index, const char *first, const char *rest,
                      bool is_below);

/* The flows that read what `sink` of `from` writes and are not drawn yet. */
static void draw_readers(struct graph *graph, const struct plan_flow *from,
                         const struct plan_node *sink, const char *left)
{
    const struct plan *plan = graph->plan;
    size_t *readers = mem_new(plan->n_flows * sizeof *readers), n = 0;

    for (size_t i = 0; i < plan->n_flows; i++)
        if (!graph->is_drawn[i] && is_fed(&plan->flows[i], from, sink)) {
            readers[n++] = i;
            graph->is_drawn[i] = true; /* none of them is drawn below another */
        }
    for (size_t i = 0; i < n; i++) {
        char *first = mem_fmt("%s%s", left, i + 1 == n ? "└─▶ " : "├─▶ ");
        char *rest = mem_fmt("%s%s", left, i + 1 == n ? "    " : "│   ");

        draw_flow(graph, readers[i], first, rest, true);
        free(first);
        free(rest);
    }
    free(readers);
}

static void draw_flow(struct graph *graph, size_t index, const char *first, const char *rest,
                      bool is_below)
{
    const struct plan_flow *flow = &graph->plan->flows[index];
    const struct plan_node *sink = feeding_sink(graph->plan, flow);
    struct drawing *drawing = mem_new(sizeof *drawing);
    size_t main = 0;
    bool has_readers = false;

    *drawing = (struct drawing){.graph = graph, .first = first, .rest = rest};
    graph->is_drawn[index] = true;
    for (size_t i = 0; i < graph->plan->n_flows; i++)
        has_readers |= !graph->is_drawn[i] && is_fed(&graph->plan->flows[i], flow, sink);
    draw_lines(drawing, flow, is_below, &main);
    if (has_readers)
        draw_way_back(drawing, sink == flow->on_failure ? drawing->n - 1 : main);
    write_lines(drawing);
    free(drawing);
    if (has_readers)
        draw_readers(graph, flow, sink, rest);
}

/* True if some other flow writes what this one reads. */
static bool has_writer(const struct plan *plan, const struct plan_flow *flow)
{
    for (size_t i = 0; i < plan->n_flows; i++)
        if (is_fed(flow, &plan->flows[i], feeding_sink(plan, &plan->flows[i])))
            return true;
    return false;
}

static bool has_reader(const struct plan *plan, const struct plan_flow *flow)
{
    for (size_t i = 0; i < plan->n_flows; i++)
        if (is_fed(&plan->flows[i], flow, feeding_sink(plan, flow)))
            return true;
    return false;
}

static void draw_root(struct graph *graph, size_t index)
{
    if (graph->is_drawn[index])
        return;
    fputc('\n', graph->out);
    draw_flow(graph, index, "", "", false);
}

static void graph_text(struct graph *graph)
{
    const struct plan *plan = graph->plan;

    for (size_t i = 0; i < plan->n_flows; i++)
        if (strlen(plan->flows[i].name) > graph->label)
            graph->label = strlen(plan->flows[i].name);
    fprintf(graph->out, "%s\n", plan->name);
    for (size_t i = 0; i < plan->n_flows; i++)
        if (!has_writer(plan, &plan->flows[i]))
            draw_root(graph, i);
    for (size_t i = 0; i < plan->n_flows; i++) /* flows that feed each other in a ring */
        if (has_reader(plan, &plan->flows[i]))
            draw_root(graph, i);
    for (size_t i = 0; i < plan->n_flows; i++)
        draw_root(graph, i);
}

/* ---- DOT and Mermaid: the same nodes and edges in two spellings */

struct spelling {
    const char *head, *flow, *flow_end, *tail;
    const char *node;     /* flow, node, name */
    const char *failure;  /* the node of on_failure */
    const char *resource; /* number, kind, name */
    const char *edge, *reads, *writes, *mentions;
    const char *fails, *failure_writes; /* on_failure */
};

static const struct spelling dot = {
    .head = "digraph \"%s\" {\n  rankdir = LR;\n  compound = true;\n"
            "  node [shape = box, style = rounded, fontname = \"sans-serif\"];\n",
    .flow = "  subgraph cluster_%zu {\n    label = \"%s\";\n",
    .flow_end = "  }\n",
    .tail = "}\n",
    .node = "    f%zu_%zu [label = \"%s\"];\n",
    .failure = "  f%zu_failure [label = \"%s\", color = red];\n",
    .resource = "  r%zu [label = \"%s\\n%s\", shape = cylinder, style = solid];\n",
    .edge = "    f%zu_%zu -> f%zu_%zu;\n",
    .reads = "  r%zu -> f%zu_%zu;\n",
    .writes = "  f%zu_%zu -> r%zu;\n",
    .mentions = "  f%zu_%zu -> r%zu [style = dotted, dir = none];\n",
    .fails = "  f%zu_%zu -> f%zu_failure [ltail = cluster_%zu, style = dashed, color = red, "
             "label = \"on failure\"];\n",
    .failure_writes = "  f%zu_failure -> r%zu;\n",
};

static const struct spelling mermaid = {
    .head = "---\ntitle: %s\n---\nflowchart LR\n",
    .flow = "  subgraph f%zu[\"%s\"]\n",
    .flow_end = "  end\n",
    .tail = "",
    .node = "    f%zu_%zu[\"%s\"]\n",
    .failure = "  f%zu_failure[\"%s\"]\n",
    .resource = "  r%zu[(\"%s %s\")]\n",
    .edge = "    f%zu_%zu --> f%zu_%zu\n",
    .reads = "  r%zu --> f%zu_%zu\n",
    .writes = "  f%zu_%zu --> r%zu\n",
    .mentions = "  f%zu_%zu -.- r%zu\n",
    .fails = "  f%zu_%zu -. on failure .-> f%zu_failure\n",
    .failure_writes = "  f%zu_failure --> r%zu\n",
};

/* All formats are in the two tables above. */

static size_t number_of(const struct plan *plan, const kp_resource *resource)
{
    for (size_t i = 0; i < plan->n_resources; i++)
        if (same(plan->resources[i], resource))
            return i;
    return plan->n_resources;
}

static void link_node(struct graph *graph, const struct spelling *as, size_t i, size_t k)
{
    const struct plan_flow *flow = &graph->plan->flows[i];
    const kp_resource *one;
    size_t at = 0;

    while ((one = next_resource(&flow->nodes[k], &at))) {
        size_t number = number_of(graph->plan, one);

        if (k == 0)
            fprintf(graph->out, as->reads, number, i, k);
        else if (k + 1 < flow->n_nodes || uses(&flow->nodes[0], one))
            fprintf(graph->out, as->mentions, i, k, number);
        else
            fprintf(graph->out, as->writes, i, k, number);
    }
}

static void spell_flow(struct graph *graph, const struct spelling *as, size_t i)
{
    const struct plan_flow *flow = &graph->plan->flows[i];

    fprintf(graph->out, as->flow, i, flow->name);
    for (size_t k = 0; k < flow->n_nodes; k++)
        fprintf(graph->out, as->node, i, k, flow->nodes[k].stage);
    for (size_t k = 1; k < flow->n_nodes; k++)
        fprintf(graph->out, as->edge, i, k - 1, i, k);
    fputs(as->flow_end, graph->out);
}

static void spell_links(struct graph *graph, const struct spelling *as, size_t i)
{
    const struct plan_flow *flow = &graph->plan->flows[i];
    const kp_resource *one;
    size_t at = 0;

    for (size_t k = 0; k < flow->n_nodes; k++)
        link_node(graph, as, i, k);
    if (!flow->on_failure)
        return;
    fprintf(graph->out, as->failure, i, flow->on_failure->stage);
    fprintf(graph->out, as->fails, i, flow->n_nodes - 1, i, i);
    while ((one = next_resource(flow->on_failure, &at)))
        fprintf(graph->out, as->failure_writes, i, number_of(graph->plan, one));
}

static void spell(struct graph *graph, const struct spelling *as)
{
    const struct plan *plan = graph->plan;

    fprintf(graph->out, as->head, plan->name);
    for (size_t i = 0; i < plan->n_resources; i++)
        fprintf(graph->out, as->resource, i, plan->resources[i]->kind, plan->resources[i]->name);
    for (size_t i = 0; i < plan->n_flows; i++)
        spell_flow(graph, as, i);
    for (size_t i = 0; i < plan->n_flows; i++)
        spell_links(graph, as, i);
    fputs(as->tail, graph->out);
}

void plan_graph(const struct plan *plan, enum graph_form form, FILE *out)
{
    struct graph graph = {.plan = plan, .out = out};

    graph.is_drawn = mem_new((plan->n_flows + 1) * sizeof *graph.is_drawn);
    switch (form) {
    case GRAPH_TEXT: graph_text(&graph); break;
    case GRAPH_DOT: spell(&graph, &dot); break;
    case GRAPH_MERMAID: spell(&graph, &mermaid); break;
    }
    free(graph.is_drawn);
}
