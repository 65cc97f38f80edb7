/* reader.c - read(2) in pieces of 64 KiB, decoded straight into the caller's memory.
 *
 * Damage is named with the file and the offset of the compressed byte where
 * decoding stopped.
 */
#include "plugins/replay/reader.h"

#include "sdk/wire/lz4.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE (64 * 1024)

struct replay_reader {
    struct kpw_lz4 *lz4; /* [owned] */
    const char *path;    /* [borrowed] */
    int fd;              /* -1: not open */
    bool is_lz4;
    bool is_whole;     /* the input may end here */
    bool has_output;   /* the decoder may hold more although all input is taken */
    bool at_end;       /* of the file */
    uint64_t offset;   /* of in[at] in the file */
    size_t at, len;    /* what of `in` is not used yet */
    unsigned char *in; /* PIECE bytes [owned] */
    char why[512];     /* of REPLAY_BROKEN */
};

struct replay_reader *replay_reader_new(void)
{
    struct replay_reader *reader = calloc(1, sizeof(*reader));

    if (!reader)
        return NULL;
    reader->fd = -1;
    reader->in = malloc(PIECE);
    reader->lz4 = kpw_lz4_new(true, 0);
    if (!reader->in || !reader->lz4) {
        replay_reader_free(reader);
        return NULL;
    }
    return reader;
}

void replay_reader_free(struct replay_reader *reader)
{
    if (!reader)
        return;
    if (reader->fd >= 0)
        close(reader->fd);
    kpw_lz4_free(reader->lz4);
    free(reader->in);
    free(reader);
}

void replay_reader_open(struct replay_reader *reader, const char *path)
{
    if (reader->fd >= 0)
        close(reader->fd);
    kpw_lz4_reset(reader->lz4);
    reader->fd = -1;
    reader->path = path;
    reader->is_lz4 = reader->is_whole = reader->has_output = reader->at_end = false;
    reader->offset = 0;
    reader->at = reader->len = 0;
}

const char *replay_reader_why(const struct replay_reader *reader)
{
    return reader->why;
}

/* More input behind what is left; the first bytes are asked for at least `least`. */
static bool refill(struct replay_reader *reader, size_t least)
{
    memmove(reader->in, reader->in + reader->at, reader->len - reader->at);
    reader->len -= reader->at;
    reader->at = 0;
    while (!reader->at_end && reader->len < least) {
        ssize_t n = read(reader->fd, reader->in + reader->len, PIECE - reader->len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            snprintf(reader->why, sizeof(reader->why), "cannot read %s at byte %llu: %s",
                     reader->path, (unsigned long long)(reader->offset + reader->len),
                     strerror(errno));
            return false;
        }
        if (n == 0)
            reader->at_end = true;
        reader->len += (size_t)n;
    }
    return true;
}

/* Names of what cannot be read, by their first bytes. */
static const char *other_compression(const unsigned char *p, size_t n)
{
    static const struct {
        const char *name, *magic;
        size_t len;
    } others[] = {{"gzip", "\x1f\x8b", 2},
                  {"zstd", "\x28\xb5\x2f\xfd", 4},
                  {"bzip2", "BZh", 3},
                  {"xz", "\xfd\x37zXZ", 5},
                  {"legacy lz4", "\x02\x21\x4c\x18", 4}};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (n >= others[i].len && memcmp(p, others[i].magic, others[i].len) == 0)
            return others[i].name;
    return NULL;
}

static bool begin(struct replay_reader *reader)
{
    const char *other;
    uint32_t magic;

    reader->fd = open(reader->path, O_RDONLY | O_CLOEXEC);
    if (reader->fd < 0) {
        snprintf(reader->why, sizeof(reader->why), "cannot open %s: %s", reader->path,
                 strerror(errno));
        return false;
    }
    if (!refill(reader, 8))
        return false;
    other = other_compression(reader->in, reader->len);
    if (other) {
        snprintf(reader->why, sizeof(reader->why),
                 "%s is compressed with %s; replay reads LZ4 frames and plain lines", reader->path,
                 other);
        return false;
    }
    if (reader->len >= 4) {
        magic = (uint32_t)reader->in[0] | (uint32_t)reader->in[1] << 8 |
                (uint32_t)reader->in[2] << 16 | (uint32_t)reader->in[3] << 24;
        reader->is_lz4 = magic == 0x184D2204U || (magic & 0xFFFFFFF0U) == 0x184D2A50U;
    }
    return true;
}

static enum replay_read ended(struct replay_reader *reader)
{
    close(reader->fd);
    reader->fd = -1;
    if (!reader->is_lz4 || reader->is_whole)
        return REPLAY_END;
    snprintf(reader->why, sizeof(reader->why),
             "%s is damaged: it ends inside an LZ4 frame, at byte %llu", reader->path,
             (unsigned long long)reader->offset);
    return REPLAY_BROKEN;
}

/* One call of the decoder. False: damaged. */
static bool decode(struct replay_reader *reader, char *out, size_t cap, size_t *used)
{
    struct kpw_slice in = {(const char *)reader->in + reader->at, reader->len - reader->at};
    size_t made = 0, before = in.len;
    enum kpw_lz4_result result = kpw_lz4_read(reader->lz4, &in, out + *used, cap - *used, &made);

    reader->has_output = made == cap - *used;
    *used += made;
    reader->at += before - in.len;
    reader->offset += before - in.len;
    reader->is_whole = result == KPW_LZ4_DONE;
    if (result == KPW_LZ4_MORE || result == KPW_LZ4_DONE)
        return true;
    snprintf(reader->why, sizeof(reader->why), "%s is damaged near byte %llu: %s", reader->path,
             (unsigned long long)reader->offset, kpw_lz4_text(result));
    return false;
}

static enum replay_read fill_lz4(struct replay_reader *reader, char *out, size_t cap, size_t *used)
{
    while (*used < cap) {
        if (reader->at == reader->len && !reader->has_output) {
            if (!refill(reader, 1))
                return REPLAY_BROKEN;
            if (reader->len == 0)
                return ended(reader);
        }
        if (!decode(reader, out, cap, used))
            return REPLAY_BROKEN;
    }
    return REPLAY_MORE;
}

static enum replay_read fill_plain(struct replay_reader *reader, char *out, size_t cap,
                                   size_t *used)
{
    while (*used < cap) {
        size_t n = reader->len - reader->at;

        if (n == 0) {
            if (!refill(reader, 1))
                return REPLAY_BROKEN;
            if (reader->len == 0)
                return ended(reader);
            continue;
        }
        if (n > cap - *used)
            n = cap - *used;
        memcpy(out + *used, reader->in + reader->at, n);
        *used += n;
        reader->at += n;
        reader->offset += n;
    }
    return REPLAY_MORE;
}

enum replay_read replay_reader_fill(struct replay_reader *reader, char *out, size_t cap,
                                    size_t *used)
{
    if (reader->fd < 0 && !begin(reader))
        return REPLAY_BROKEN;
    return reader->is_lz4 ? fill_lz4(reader, out, cap, used) : fill_plain(reader, out, cap, used);
}
