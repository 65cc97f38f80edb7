/* http_syntax.h - the small grammars of HTTP: tokens, field values, targets, authorities.
 *
 * Pure functions over bytes. Threads: any. Facts: RFC 9110 section 5, RFC 3986.
 */
#ifndef KPIPE_NET_HTTP_SYNTAX_H
#define KPIPE_NET_HTTP_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>

bool http_is_token_byte(char c);
bool http_is_token(const char *p, size_t n);     /* at least one byte */
bool http_is_value(const char *p, size_t n);     /* HTAB, 0x20 to 0x7e, 0x80 to 0xff */
bool http_is_target(const char *p, size_t n);    /* visible ASCII, whole escapes, no %00, no '#' */
bool http_is_authority(const char *p, size_t n); /* host or host:port, no user */

/* `lower` is in lower case. */
bool http_is_nocase(const char *p, size_t n, const char *lower);
bool http_same_nocase(const char *a, const char *b, size_t n);
/* Is `lower` one of the comma-separated words? */
bool http_list_has(const char *p, size_t n, const char *lower);

#endif
