/* cmd_new.c - `kpipe new plugin NAME --kind KIND`: a plugin to begin with.
 *
 * The templates are complete plugins named "my-plugin"; copying them means
 * replacing that name. They lie in sdk/template of the source tree this program
 * was built in, or in share/kpipe/template of where it is installed.
 */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/mem.h"
#include "core/cli/cli.h"

#define MAX_NAME     64
#define MAX_TEMPLATE (256 << 10)

static const char usage[] =
    "usage: kpipe new plugin NAME --kind source|transform|sink [--dir DIR]\n"
    "\n"
    "Makes DIR/NAME (DIR: the current folder) with NAME.c, NAME_test.c, Makefile and README.md.\n"
    "`make` there builds NAME.so; only kpipe's header is needed for that.\n";

struct scaffold {
    const char *name, *kind;
    char ident[MAX_NAME + 1]; /* name as a C identifier */
    char *template, *include; /* folders [owned] */
    char *source, *target;    /* kpipe's source tree, "" if there is none [owned] */
};

/* ---- where things are */

static bool has_file(const char *dir, const char *name)
{
    char *path = mem_fmt("%s/%s", dir, name);
    bool there = access(path, R_OK) == 0;

    free(path);
    return there;
}

/* `relative` to the folder of this program, without the "..": it ends up in a Makefile. */
static char *beside_program(const char *relative, const char *must_have)
{
    char exe[PATH_MAX], full[PATH_MAX], *path, *slash;
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    bool there;

    if (n <= 0)
        return NULL;
    exe[n] = '\0';
    slash = strrchr(exe, '/');
    if (slash)
        *slash = '\0';
    path = mem_fmt("%s/%s", exe, relative);
    there = realpath(path, full) && has_file(full, must_have);
    free(path);
    return there ? mem_dup(full) : NULL;
}

static bool find_places(struct scaffold *s, struct error *err)
{
    s->source = beside_program("..", "sdk/harness/harness.h");
    if (s->source) {
        s->template = mem_fmt("%s/sdk/template", s->source);
        s->include = mem_fmt("%s/sdk/include", s->source);
    } else {
        s->source = mem_dup("");
        s->template = beside_program("../share/kpipe/template", "transform.c");
        s->include = beside_program("../include", "kpipe/plugin.h");
    }
    if (!s->template || !s->include) {
        error_set(err, ERROR_FAILED,
                  "the templates are neither in this program's source tree nor "
                  "in ../share/kpipe/template beside it");
        return false;
    }
    return true;
}

/* ---- copying */

static char *replace(char *text, const char *what, const char *with)
{
    size_t n = strlen(what);
    char *out = mem_dup(""), *at;

    for (at = text; *at;) {
        char *hit = strstr(at, what), *longer;
        size_t len = hit ? (size_t)(hit - at) : strlen(at);

        longer = mem_fmt("%s%.*s%s", out, (int)len, at, hit ? with : "");
        free(out);
        out = longer;
        at += len + (hit ? n : 0);
    }
    free(text);
    return out;
}

static char *read_file(const char *path, struct error *err)
{
    FILE *f = fopen(path, "re");
    char *text = NULL;
    size_t n;

    if (!f) {
        error_sys(err, errno, "cannot read %s", path);
        return NULL;
    }
    text = mem_new(MAX_TEMPLATE + 1);
    n = fread(text, 1, MAX_TEMPLATE, f);
    if (ferror(f) || n == MAX_TEMPLATE) {
        error_set(err, ERROR_FAILED, "cannot read %s", path);
        free(text);
        text = NULL;
    }
    fclose(f);
    return text;
}

static bool write_file(const char *path, const char *text, struct error *err)
{
    FILE *f = fopen(path, "wxe");
    bool ok = f && fputs(text, f) >= 0;

    if (f)
        ok = fclose(f) == 0 && ok;
    if (!ok)
        error_sys(err, errno, "cannot write %s", path);
    return ok;
}

static bool copy(const struct scaffold *s, const char *from, const char *to, struct error *err)
{
    char *in = mem_fmt("%s/%s", s->template, from), *out = mem_fmt("%s/%s", s->target, to);
    char *text = read_file(in, err);
    bool ok = text != NULL;

    if (ok) {
        text = replace(text, "my-plugin", s->name);
        text = replace(text, "my_plugin", s->ident);
        text = replace(text, "@KIND@", s->kind);
        text = replace(text, "@INCLUDE@", s->include);
        text = replace(text, "@SOURCE@", s->source);
        ok = write_file(out, text, err);
    }
    free(text);
    free(in);
    free(out);
    return ok;
}

static bool make_plugin(struct scaffold *s, const char *dir, struct error *err)
{
    char *code = mem_fmt("%s.c", s->kind), *test = mem_fmt("%s_test.c", s->kind);
    char *new_code = mem_fmt("%s.c", s->name), *new_test = mem_fmt("%s_test.c", s->name);
    bool ok = false;

    free(s->target);
    s->target = mem_fmt("%s/%s", dir, s->name);
    for (size_t i = 0; i <= strlen(s->name); i++)
        s->ident[i] = s->name[i] == '-' ? '_' : s->name[i];
    if (mkdir(s->target, 0777)) {
        error_sys(err, errno, "cannot make %s", s->target);
        goto out;
    }
    ok = copy(s, code, new_code, err) && copy(s, test, new_test, err) &&
         copy(s, "Makefile", "Makefile", err) && copy(s, "README.md", "README.md", err);
out:
    free(code);
    free(test);
    free(new_code);
    free(new_test);
    return ok;
}

/* ---- the command */

static bool is_name(const char *name)
{
    size_t len = strlen(name);

    if (!islower((unsigned char)name[0]) || len > MAX_NAME || name[len - 1] == '-')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!islower((unsigned char)name[i]) && !isdigit((unsigned char)name[i]) && name[i] != '-')
            return false;
    return true;
}

static bool is_kind(const char *kind)
{
    return kind && (!strcmp(kind, "source") || !strcmp(kind, "transform") || !strcmp(kind, "sink"));
}

static int run(struct scaffold *s, const char *dir)
{
    struct error err = ERROR_INIT;
    bool ok;

    if (!is_name(s->name)) {
        fprintf(stderr,
                "kpipe: \"%s\" is no plugin name: lower-case letters, digits and -, at most %d, "
                "beginning with a letter\n",
                s->name, MAX_NAME);
        return 2;
    }
    ok = find_places(s, &err) && make_plugin(s, dir, &err);
    if (ok)
        printf("made %s: make there builds %s.so, make test runs its tests\n", s->target, s->name);
    else
        fprintf(stderr, "kpipe: %s\n", err.text);
    free(s->template);
    free(s->include);
    free(s->source);
    free(s->target);
    return ok ? 0 : 1;
}

int cmd_new(int argc, char **argv)
{
    static const struct option options[] = {{"kind", required_argument, NULL, 'k'},
                                            {"dir", required_argument, NULL, 'd'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct scaffold s = {0};
    const char *dir = ".";
    int option;

    optind = 1;
    while ((option = cli_option(argc, argv, options)) != -1) {
        if (option == 'k') {
            s.kind = optarg;
        } else if (option == 'd') {
            dir = optarg;
        } else {
            if (option == 'h')
                fputs(usage, stdout);
            return option == 'h' ? 0 : 2;
        }
    }
    if (argc - optind != 2 || strcmp(argv[optind], "plugin") || !is_kind(s.kind)) {
        fputs(usage, stderr);
        return 2;
    }
    s.name = argv[optind + 1];
    return run(&s, dir);
}
