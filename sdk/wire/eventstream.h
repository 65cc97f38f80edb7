/* eventstream.h - reading and writing messages of application/vnd.amazon.eventstream.
 *
 * A message is: length of all, length of the headers, CRC-32 of these eight bytes; headers;
 * payload; CRC-32 of all before it. Numbers are big-endian. The reader takes a stream of messages
 * in any pieces. A message that lies whole in a piece is returned as slices of it, others are
 * collected. It refuses messages over its limit before it holds them, wrong checksums, and headers
 * that are cut off, of unknown type or without a name.
 *
 * Threads: [any]; one reader or writer belongs to one thread at a time.
 */
#ifndef KPIPE_WIRE_EVENTSTREAM_H
#define KPIPE_WIRE_EVENTSTREAM_H

#include "sdk/wire/slice.h"

enum {
    KPW_EVENT_OVERHEAD = 16,          /* bytes of a message without headers and payload */
    KPW_EVENT_HEADERS_MAX = 128 << 10 /* bytes, as the service allows */
};

enum kpw_event_type {
    KPW_EVENT_TRUE = 0,
    KPW_EVENT_FALSE,
    KPW_EVENT_BYTE,
    KPW_EVENT_SHORT,
    KPW_EVENT_INT,
    KPW_EVENT_LONG,
    KPW_EVENT_BYTES,
    KPW_EVENT_STRING,
    KPW_EVENT_TIME, /* milliseconds since the epoch */
    KPW_EVENT_UUID,
};

struct kpw_event_header {
    struct kpw_slice name;
    enum kpw_event_type type;
    int64_t number;         /* TRUE, FALSE: 1, 0; BYTE to LONG, TIME */
    struct kpw_slice value; /* BYTES, STRING, UUID */
};

struct kpw_event {
    struct kpw_slice headers; /* proven: kpw_event_header_next() walks them */
    struct kpw_slice payload;
    size_t size; /* bytes of the message */
};

/* Takes the next header off *rest. False: there is none (then *rest is empty) or it is broken. */
bool kpw_event_header_next(struct kpw_slice *rest, struct kpw_event_header *ret);
/* The value of the first string header of that name; empty: there is none. */
struct kpw_slice kpw_event_string(const struct kpw_event *event, const char *name);

/* ---- reader */

enum kpw_event_result {
    KPW_EVENT_MORE = 0, /* the piece is used up; no whole message yet */
    KPW_EVENT_OK,       /* a message; ask again with the rest of the piece */
    KPW_EVENT_ERROR,    /* `error` says why; the stream cannot be read on */
};

struct kpw_event_reader {
    size_t limit;       /* largest message in bytes, at least KPW_EVENT_OVERHEAD */
    const char *error;  /* [static] */
    struct kpw_buf buf; /* [owned] the beginning of a message */
    bool is_done;       /* the message in buf was returned */
};
void kpw_event_reader_init(struct kpw_event_reader *r, size_t limit);
void kpw_event_reader_fini(struct kpw_event_reader *r);
/* Reads from the piece, which loses what was taken. Slices of *ret are [borrowed from the piece and
 * from the reader, until the next call]. */
enum kpw_event_result kpw_event_read(struct kpw_event_reader *r, struct kpw_slice *piece,
                                     struct kpw_event *ret);
/* Bytes of a message that began and is not whole: at the end of a stream it should be 0. */
size_t kpw_event_pending(const struct kpw_event_reader *r);

/* ---- writer: begin, headers, payload, end. Several messages may follow each other on a buffer.
 *
 *     struct kpw_event_writer w;
 *     kpw_event_begin(&w, buf);
 *     kpw_event_put_string(&w, ":event-type", kpw_slice_cstr("initial-response"));
 *     kpw_event_payload(&w);
 *     kpw_buf_puts(buf, "{}");
 *     kpw_event_end(&w);
 */

struct kpw_event_writer {
    struct kpw_buf *buf; /* [borrowed] fails when a length does not fit */
    size_t start;        /* of the message in buf */
    size_t payload;      /* 0 until kpw_event_payload() */
};
void kpw_event_begin(struct kpw_event_writer *w, struct kpw_buf *buf);
/* Any type; name: 1 to 255 bytes, BYTES and STRING: 65535 at most, UUID: 16. */
void kpw_event_put_header(struct kpw_event_writer *w, const struct kpw_event_header *header);
void kpw_event_put_string(struct kpw_event_writer *w, const char *name, struct kpw_slice value);
/* The headers are done; from here on the payload is appended to the buffer. */
void kpw_event_payload(struct kpw_event_writer *w);
/* Fills in lengths and checksums. A message without kpw_event_payload() has no payload. */
void kpw_event_end(struct kpw_event_writer *w);

#endif
