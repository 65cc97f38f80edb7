/* aws_profile.c - see aws_profile.h. One list of entries, searched from its end: the last of equal
 * keys counts. The files are small and read once. */
#include "core/aws/aws_profile.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/mem.h"

#define MAX_FILE ((size_t)1 << 20)

struct aws_entry {
    enum aws_file file;
    enum aws_section kind;
    char *section, *key, *value; /* [owned] the section itself has an empty key */
};

struct reader {
    struct aws_profiles *profiles;
    const char *path;
    enum aws_file file;
    unsigned line;
    enum aws_section kind;
    const char *section; /* [owned by an entry] NULL before the first */
    char *parent;        /* [owned] the last key that was not indented */
    struct error *err;
};

void aws_profiles_fini(struct aws_profiles *profiles)
{
    for (size_t i = 0; i < profiles->n; i++) {
        free(profiles->entries[i].section);
        free(profiles->entries[i].key);
        if (profiles->entries[i].value) { /* may be a secret */
            explicit_bzero(profiles->entries[i].value, strlen(profiles->entries[i].value));
            free(profiles->entries[i].value);
        }
    }
    free(profiles->entries);
    *profiles = (struct aws_profiles){0};
}

/* ---- reading */

static bool wrong(struct reader *reader, const char *what)
{
    error_set(reader->err, ERROR_CONFIG, "%s:%u: %s", reader->path, reader->line, what);
    return false;
}

static char *trim(char *text)
{
    char *end;

    while (isspace((unsigned char)*text))
        text++;
    end = text + strlen(text);
    while (end > text && isspace((unsigned char)end[-1]))
        end--;
    *end = '\0';
    return text;
}

static struct aws_entry *add(struct reader *reader, const char *section, char *key, char *value)
{
    struct aws_profiles *profiles = reader->profiles;
    struct aws_entry *entry;

    mem_room(&profiles->entries, &profiles->cap, profiles->n, sizeof *profiles->entries);
    entry = &profiles->entries[profiles->n++];
    *entry = (struct aws_entry){reader->file, reader->kind, mem_dup(section), key, value};
    for (char *c = key; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return entry;
}

/* NAME, "NAME" or 'NAME'. NULL: not rightly quoted or empty. */
static char *unquote(char *name)
{
    size_t n;

    name = trim(name);
    n = strlen(name);
    if (*name == '"' || *name == '\'') {
        if (n < 2 || name[n - 1] != *name)
            return NULL;
        name[n - 1] = '\0';
        name++;
    }
    return *name ? name : NULL;
}

static bool begins_with_word(const char *text, const char *word)
{
    size_t n = strlen(word);

    return !strncmp(text, word, n) && (!text[n] || isspace((unsigned char)text[n]));
}

static bool read_section(struct reader *reader, char *line)
{
    char *end = strchr(line, ']'), *name = line + 1, *rest;

    if (!end)
        return wrong(reader, "a section has no ']'");
    *end = '\0';
    rest = trim(end + 1);
    if (*rest && *rest != '#' && *rest != ';')
        return wrong(reader, "text behind a section's ']'");
    name = trim(name);
    reader->kind = AWS_SECTION_OTHER;
    if (reader->file == AWS_FILE_CREDENTIALS || !strcmp(name, "default")) {
        reader->kind = AWS_SECTION_PROFILE;
    } else if (begins_with_word(name, "profile")) {
        reader->kind = AWS_SECTION_PROFILE;
        name += strlen("profile");
    } else if (begins_with_word(name, "services")) {
        reader->kind = AWS_SECTION_SERVICES;
        name += strlen("services");
    }
    name = unquote(name);
    if (!name)
        return wrong(reader, "a section has no name");
    reader->section = add(reader, name, mem_dup(""), NULL)->section;
    free(reader->parent);
    reader->parent = NULL;
    return true;
}

/* Cuts off what follows " #" or " ;". */
static void cut_comment(char *value)
{
    for (char *c = value; *c; c++)
        if ((*c == '#' || *c == ';') && c > value && isspace((unsigned char)c[-1]))
            *c = '\0';
}

/* An indented line: a nested key when its parent has no value, else more of the value. */
static bool read_indented(struct reader *reader, char *line)
{
    struct aws_entry *last;
    char *equals = strchr(line, '='), *value;

    if (!reader->parent)
        return wrong(reader, "an indented line without a key above it");
    last = &reader->profiles->entries[reader->profiles->n - 1];
    if (!strcmp(last->key, reader->parent) && last->value && *last->value) {
        char *more = mem_fmt("%s\n%s", last->value, trim(line));

        explicit_bzero(last->value, strlen(last->value));
        free(last->value);
        last->value = more;
        return true;
    }
    if (!equals)
        return wrong(reader, "an indented line is not \"key = value\"");
    *equals = '\0';
    cut_comment(equals + 1);
    value = mem_dup(trim(equals + 1));
    add(reader, reader->section, mem_fmt("%s.%s", reader->parent, trim(line)), value);
    return true;
}

static bool read_key(struct reader *reader, char *line)
{
    char *equals = strchr(line, '='), *key;
    struct aws_entry *entry;

    if (!equals)
        return wrong(reader, "a line is not \"key = value\"");
    if (!reader->section)
        return wrong(reader, "a key in front of the first section");
    *equals = '\0';
    key = trim(line);
    if (!*key)
        return wrong(reader, "a value has no key");
    cut_comment(equals + 1);
    entry = add(reader, reader->section, mem_dup(key), mem_dup(trim(equals + 1)));
    free(reader->parent);
    reader->parent = mem_dup(entry->key);
    return true;
}

static bool read_line(struct reader *reader, char *line)
{
    const char *text = line + strspn(line, " \t\r");

    if (!*text || *text == '#' || *text == ';')
        return true;
    if (*line == '[')
        return read_section(reader, line);
    return *line == ' ' || *line == '\t' ? read_indented(reader, line) : read_key(reader, line);
}

bool aws_profiles_parse(struct aws_profiles *profiles, const char *text, const char *path,
                        enum aws_file file, struct error *err)
{
    struct reader reader = {.profiles = profiles, .path = path, .file = file, .err = err};
    bool ok = true;

    while (*text && ok) {
        size_t len = strcspn(text, "\n");
        char *line = mem_dupn(text, len);

        reader.line++;
        ok = read_line(&reader, line);
        explicit_bzero(line, len);
        free(line);
        text += len + (text[len] == '\n');
    }
    free(reader.parent);
    return ok;
}

bool aws_profiles_read(struct aws_profiles *profiles, const char *path, enum aws_file file,
                       struct error *err)
{
    char *text = NULL;
    size_t len = 0;
    ssize_t n = 0;
    bool ok = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return true;
    if (fd < 0) {
        error_sys(err, errno, "cannot open %s", path);
        return false;
    }
    text = mem_new(MAX_FILE + 2);
    while (len <= MAX_FILE && (n = read(fd, text + len, MAX_FILE + 1 - len)) > 0)
        len += (size_t)n;
    if (n < 0)
        error_sys(err, errno, "cannot read %s", path);
    else if (len > MAX_FILE)
        error_set(err, ERROR_CONFIG, "%s is longer than 1 MiB", path);
    else if (memchr(text, '\0', len))
        error_set(err, ERROR_CONFIG, "%s is not a text file", path);
    else
        ok = aws_profiles_parse(profiles, text, path, file, err);
    explicit_bzero(text, len);
    free(text);
    close(fd);
    return ok;
}

/* ---- looking up */

static const char *find(const struct aws_profiles *profiles, enum aws_section kind,
                        const char *section, const char *key, int file)
{
    for (size_t i = profiles->n; i-- > 0;) {
        const struct aws_entry *entry = &profiles->entries[i];

        if (entry->kind == kind && (int)entry->file == file && !strcmp(entry->section, section) &&
            !strcmp(entry->key, key))
            return entry->value && *entry->value ? entry->value : NULL;
    }
    return NULL;
}

bool aws_profiles_has(const struct aws_profiles *profiles, const char *profile)
{
    for (size_t i = 0; i < profiles->n; i++)
        if (profiles->entries[i].kind == AWS_SECTION_PROFILE &&
            !strcmp(profiles->entries[i].section, profile))
            return true;
    return false;
}

const char *aws_profiles_in(const struct aws_profiles *profiles, enum aws_file file,
                            const char *profile, const char *key)
{
    return find(profiles, AWS_SECTION_PROFILE, profile, key, (int)file);
}

const char *aws_profiles_get(const struct aws_profiles *profiles, const char *profile,
                             const char *key)
{
    const char *value = aws_profiles_in(profiles, AWS_FILE_CREDENTIALS, profile, key);

    return value ? value : aws_profiles_in(profiles, AWS_FILE_CONFIG, profile, key);
}

const char *aws_profiles_service(const struct aws_profiles *profiles, const char *services,
                                 const char *key)
{
    return find(profiles, AWS_SECTION_SERVICES, services, key, AWS_FILE_CONFIG);
}
