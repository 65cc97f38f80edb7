/* problems.c - see problems.h. */
#include "core/config/problems.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

#define PROBLEMS_MAX 200
#define TEXT_MAX     600

/* One line, whatever the file put into it: a name may hold control bytes. */
static void flatten(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 127)
            *text = '?';
}

void problems_vadd(struct problems *problems, const char *file, int line, const char *fmt,
                   va_list args)
{
    char text[TEXT_MAX];

    vsnprintf(text, sizeof text, fmt, args);
    flatten(text);
    for (size_t i = 0; i < problems->n; i++) {
        const struct problem *old = &problems->list[i];

        if (old->line == line && !strcmp(old->text, text) && !strcmp(old->file, file))
            return;
    }
    if (problems->n == PROBLEMS_MAX) {
        problems->dropped++;
        return;
    }
    mem_room(&problems->list, &problems->cap, problems->n, sizeof *problems->list);
    problems->list[problems->n++] = (struct problem){mem_dup(file), line, mem_dup(text)};
}

/* qsort has no argument: the name of the main file for by_place(). [main] */
static const char *sort_main;

static int by_place(const void *a_, const void *b_)
{
    const struct problem *a = a_, *b = b_;
    int by_main = (strcmp(a->file, sort_main) != 0) - (strcmp(b->file, sort_main) != 0);
    int by_file = strcmp(a->file, b->file);

    if (by_main)
        return by_main;
    if (by_file)
        return by_file;
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    return strcmp(a->text, b->text);
}

void problems_write(struct problems *problems, const char *main_file, FILE *out)
{
    size_t all = problems->n + problems->dropped;

    sort_main = main_file;
    if (problems->n)
        qsort(problems->list, problems->n, sizeof *problems->list, by_place);
    for (size_t i = 0; i < problems->n; i++) {
        const struct problem *problem = &problems->list[i];

        if (problem->line > 0)
            fprintf(out, "%s:%d: %s\n", problem->file, problem->line, problem->text);
        else
            fprintf(out, "%s: %s\n", problem->file, problem->text);
    }
    if (problems->dropped)
        fprintf(out, "(%zu more are not shown)\n", problems->dropped);
    fprintf(out, "%zu problem%s, nothing was started\n", all, all == 1 ? "" : "s");
}

void problems_fini(struct problems *problems)
{
    for (size_t i = 0; i < problems->n; i++) {
        free(problems->list[i].file);
        free(problems->list[i].text);
    }
    free(problems->list);
    *problems = (struct problems){0};
}
