/* http2.h - HTTP/2 on a connection, by nghttp2: many requests at once.
 *
 * Everything a peer can make the server hold is bounded: streams, header lists,
 * bodies of all streams together, frames that bring nothing (HTTP2_FRAMES), and
 * requests whose streams were reset while a handler works on them. What is written
 * waits in its stream until the peer opens the window; the writer sees how much.
 *
 * Facts: RFC 9113, RFC 9110.   Threads: the worker's only.
 */
#ifndef KPIPE_NET_HTTP2_H
#define KPIPE_NET_HTTP2_H

#include <stddef.h>

struct http_conn;
struct http_protocol;

#define HTTP2_STREAMS       256 /* at once */
#define HTTP2_EXCHANGES     512 /* with them, of streams that were reset */
#define HTTP2_STREAM_WINDOW (1 << 20)
#define HTTP2_WINDOW        (4 << 20)          /* of a connection */
#define HTTP2_BODIES        ((size_t)64 << 20) /* of a connection, or four whole ones */
#define HTTP2_FRAMES        1000 /* without use: PING, SETTINGS, PRIORITY, RST_STREAM, CONTINUATION */
#define HTTP2_FRAMES_PER_S  100 /* so many more are granted */

enum http2_preface { HTTP2_NO, HTTP2_MAYBE, HTTP2_YES };
enum http2_preface http2_is_preface(const char *p, size_t n);

/* From now on the connection speaks HTTP/2; what it has read begins with the preface. */
void http2_begin(struct http_conn *conn);

extern const struct http_protocol http2_protocol;

#endif
