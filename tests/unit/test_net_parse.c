/* test_net_parse.c - the verdicts of the HTTP parser, and that they do not depend on the split.
 *
 * Each case is a stream of bytes and what it is understood as: for each request
 * "METHOD path?query fields(body)", with "." when the connection ends after it,
 * then "+" when a part of another one is there, or the status of the refusal.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/net/http_parse.h"
#include "core/net/http_syntax.h"
#include "tests/kptest.h"

#define H       "Host: a\r\n"
#define GET(x)  "GET / HTTP/1.1\r\n" H x "\r\n"
#define POST(x) "POST / HTTP/1.1\r\n" H x
#define CHUNKED "Transfer-Encoding: chunked\r\n\r\n"

static const struct http_limits limits = {.max_head = 400, .max_body = 300};

struct stream {
    char *bytes; /* [owned] exactly what was fed of the request so far */
    size_t len;
    struct http_parser parser;
    char said[2000];
};

static void say(struct stream *s, const char *text, size_t n)
{
    size_t at = strlen(s->said);

    REQUIRE(at + n < sizeof s->said);
    memcpy(s->said + at, text, n);
    s->said[at + n] = '\0';
}

static void say_request(struct stream *s)
{
    kp_server_request r = {0};
    char fields[30];

    http_parser_request(&s->parser, s->bytes, &r);
    say(s, r.method.ptr, r.method.len);
    say(s, " ", 1);
    say(s, r.path.ptr, r.path.len);
    if (r.query.len) {
        say(s, "?", 1);
        say(s, r.query.ptr, r.query.len);
    }
    snprintf(fields, sizeof fields, " %zu(", r.n_headers);
    say(s, fields, strlen(fields));
    say(s, r.body.ptr, r.body.len);
    say(s, ")", 1);
    YES(r.head_only == (r.method.len == 4 && !memcmp(r.method.ptr, "HEAD", 4)));
}

/* Every call sees memory of its own and exact size: reading past it does not stay unseen. */
static bool feed(struct stream *s, const char *more, size_t n)
{
    char *grown = malloc(s->len + n + 1), *exact;

    memcpy(grown, s->bytes ? s->bytes : "", s->len);
    memcpy(grown + s->len, more, n);
    free(s->bytes);
    s->bytes = grown;
    s->len += n;
    for (;;) {
        enum http_verdict verdict;
        char status[20];

        exact = malloc(s->len ? s->len : 1);
        memcpy(exact, s->bytes, s->len);
        free(s->bytes);
        s->bytes = exact;
        verdict = http_parser_feed(&s->parser, s->bytes, s->len);
        if (verdict == HTTP_MORE) {
            s->len = http_parser_compact(&s->parser, s->bytes, s->len);
            return true;
        }
        if (verdict == HTTP_BAD) {
            YES(s->parser.problem && s->parser.problem[0]);
            snprintf(status, sizeof status, "%d", s->parser.status);
            say(s, status, strlen(status));
            return false;
        }
        say_request(s);
        if (!http_parser_keeps_alive(&s->parser)) {
            say(s, ".", 1);
            return false;
        }
        s->len -= s->parser.at;
        memmove(s->bytes, s->bytes + s->parser.at, s->len);
        http_parser_reset(&s->parser);
        if (!s->len)
            return true;
    }
}

/* What the bytes are understood as when cut after `first` and then every `step` bytes; with step
 * 0 the cuts are random. */
static const char *understood(const char *bytes, size_t len, size_t first, size_t step)
{
    static char said[2000];
    struct stream s = {0};
    bool goes_on = true;

    http_parser_init(&s.parser, &limits);
    for (size_t at = 0, n; at < len && goes_on; at += n) {
        n = !at && first ? first : step ? step : (size_t)(rand() % 7) + 1;
        if (n > len - at)
            n = len - at;
        goes_on = feed(&s, bytes + at, n);
    }
    if (goes_on && s.len)
        say(&s, "+", 1);
    memcpy(said, s.said, sizeof said);
    http_parser_fini(&s.parser);
    free(s.bytes);
    return said;
}

static void check(const char *bytes, size_t len, const char *expected)
{
    char *after = malloc(len + 100), text[2100];
    const char *said = understood(bytes, len, len, len);
    size_t n = sizeof GET("") - 1;

    if (strcmp(said, expected))
        fprintf(stderr, "%.*s\n  is \"%s\", not \"%s\"\n", (int)len, bytes, said, expected);
    EQ_STR(said, expected);
    EQ_STR(understood(bytes, len, 1, 1), expected);
    for (size_t cut = 1; cut < len && len < 600; cut++)
        EQ_STR(understood(bytes, len, cut, len), expected);
    for (int i = 0; i < 20; i++)
        EQ_STR(understood(bytes, len, 0, 0), expected);
    memcpy(after, GET(""), n); /* the same behind a request on a kept connection */
    memcpy(after + n, bytes, len);
    snprintf(text, sizeof text, "GET / 1()%s", expected);
    EQ_STR(understood(after, n + len, n + len, 1), text);
    EQ_STR(understood(after, n + len, 1, 1), text);
    free(after);
}

struct entry {
    const char *bytes;
    size_t len;
    const char *expected;
};
#define ROW(bytes, expected)              \
    {                                     \
        bytes, sizeof bytes - 1, expected \
    }

static void check_all(const struct entry *rows, size_t n)
{
    srand(1);
    for (size_t i = 0; i < n; i++)
        check(rows[i].bytes, rows[i].len, rows[i].expected);
}
#define CHECK_ALL(rows) check_all(rows, sizeof rows / sizeof *rows)

TEST(valid_requests_are_understood)
{
    static const struct entry rows[] = {
        ROW(GET(""), "GET / 1()"),
        ROW("\r\n" GET(""), "GET / 1()"),
        ROW("HEAD /a/b?c=d&e HTTP/1.1\r\nhOST:a:80\r\n\r\n", "HEAD /a/b?c=d&e 1()"),
        ROW("GET /%41?%20 HTTP/1.1\r\nHost: \t[::1]:8080 \t\r\nX:\r\n\r\n", "GET /%41?%20 2()"),
        ROW("GET /? HTTP/1.1\r\n" H "\r\n", "GET / 1()"),
        ROW("GET http://a/x?y HTTP/1.1\r\n" H "\r\n", "GET /x?y 1()"),
        ROW("GET HTTP://A HTTP/1.1\r\n" H "\r\n", "GET / 1()"),
        ROW("GET http://a?q HTTP/1.1\r\n" H "\r\n", "GET /?q 1()"),
        ROW("OPTIONS * HTTP/1.1\r\n" H "\r\n", "OPTIONS * 1()"),
        ROW("M-SEARCH / HTTP/1.1\r\n" H "\r\n", "M-SEARCH / 1()"),
        ROW("GET / HTTP/1.0\r\n\r\n", "GET / 0()."),
        ROW("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET / 1()"),
        ROW("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "GET / 1()."),
        ROW(GET("Connection: x , CLOSE\r\n"), "GET / 2()."),
        ROW(GET("Connection: closed\r\n"), "GET / 2()"),
        ROW(GET("Connection: x-api-key\r\nX-Api-Key: k\r\n"), "GET / 3()"),
        ROW(GET("X: \x80\xff\t~ a\r\n"), "GET / 2()"),
        ROW(GET("A_b: 1\r\nA-b: 2\r\n!#$%&'*+-.^_`|~09: x\r\n"), "GET / 4()"),
        ROW(GET("Upgrade: h2c\r\nConnection: upgrade\r\n"), "GET / 3()"),
        ROW(GET("Expect: 100-Continue\r\n"), "GET / 2()"),
        ROW("GET /\x7e!\"'()*,;:@[]{}|\\^` HTTP/1.1\r\n" H "\r\n",
            "GET /\x7e!\"'()*,;:@[]{}|\\^` 1()"),
    };

    CHECK_ALL(rows);
}

TEST(bodies_are_read_by_their_framing)
{
    static const struct entry rows[] = {
        ROW(POST("Content-Length: 5\r\n\r\nhello"), "POST / 2(hello)"),
        ROW(POST("Content-Length: 5\r\n\r\nhell"), "+"),
        ROW(POST("Content-Length: 0\r\n\r\n"), "POST / 2()"),
        ROW(POST("Content-Length: 0000000000000000005\r\n\r\nhello"), "POST / 2(hello)"),
        ROW("GET / HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nabGET /x HTTP/1.1\r\n" H "\r\n",
            "GET / 2(ab)GET /x 1()"),
        ROW(POST("Content-Length: 2\r\n\r\nabc"), "POST / 2(ab)+"),
        ROW(POST(CHUNKED "5\r\nhello\r\n0\r\n\r\n"), "POST / 2(hello)"),
        ROW(POST(CHUNKED "1\r\nh\r\n1\r\ne\r\n00000003\r\nllo\r\n000\r\n\r\n"), "POST / 2(hello)"),
        ROW(POST(CHUNKED "A\r\n0123456789\r\na;x=\"y z\";q\r\n0123456789\r\n0\r\n\r\n"),
            "POST / 2(01234567890123456789)"),
        ROW(POST(CHUNKED "0\r\nX: y\r\nHost: other\r\n\r\n" GET("")), "POST / 2()GET / 1()"),
        ROW(POST(CHUNKED "0\r\n\r\n" GET("")), "POST / 2()GET / 1()"),
        ROW(POST("TRANSFER-ENCODING: Chunked\r\n\r\n0\r\n\r\n"), "POST / 2()"),
        ROW(POST(CHUNKED "5\r\nhello\r\n0\r\n"), "+"),
        ROW("GET / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", "GET / 1(abc)."),
    };

    CHECK_ALL(rows);
}

TEST(requests_in_a_row_are_taken_one_by_one)
{
    static const struct entry rows[] = {
        ROW(GET("") GET("A: b\r\n") GET(""), "GET / 1()GET / 2()GET / 1()"),
        ROW(GET("") "\r\n" GET(""), "GET / 1()GET / 1()"),
        ROW(GET("") "GET / HTTP/1.1\r\n\r\n" GET(""), "GET / 1()400"),
        ROW(GET("Connection: close\r\n") GET(""), "GET / 2()."),
        ROW(POST(CHUNKED "1\r\na\r\n0\r\n\r\n") POST("Content-Length: 1\r\n\r\nb") GET(""),
            "POST / 2(a)POST / 2(b)GET / 1()"),
    };

    CHECK_ALL(rows);
}

TEST(bad_request_lines_are_refused)
{
    static const struct entry rows[] = {
        ROW("\r\n\r\n" GET(""), "400"),
        ROW("\n" GET(""), "400"),
        ROW("\rGET / HTTP/1.1\r\n" H "\r\n", "400"),
        ROW(" GET / HTTP/1.1\r\n" H "\r\n", "400"),
        ROW("\x16\x03\x01\x02", "400"),
        ROW("GET / HTTP/1.1\n" H "\r\n", "400"),
        ROW("GET / HTTP/1.1\r\r\n" H "\r\n", "400"),
        ROW("GET  / HTTP/1.1\r\n" H "\r\n", "400"),
        ROW("GET /  HTTP/1.1\r\n" H "\r\n", "400"),
        ROW("GET / HTTP/1.1 \r\n" H "\r\n", "400"),
        ROW("GET\t/ HTTP/1.1\r\n" H "\r\n", "400"),
        ROW("GET /\r\n", "400"),
        ROW("GET\r\n", "400"),
        ROW("GET / \r\n", "400"),
        ROW("G(T / HTTP/1.1\r\n" H "\r\n", "400"),
        ROW("G\x80T / HTTP/1.1\r\n" H "\r\n", "400"),
        ROW("ABCDEFGHIJKLMNOPQ / HTTP/1.1\r\n" H "\r\n", "501"),
        ROW("GET / HTTP/1.2\r\n" H "\r\n", "505"),
        ROW("GET / HTTP/2.0\r\n" H "\r\n", "505"),
        ROW("GET / HTTP/0.9\r\n" H "\r\n", "505"),
        ROW("GET / HTTP/11.1\r\n" H "\r\n", "400"),
        ROW("GET / HTTP/1.10\r\n" H "\r\n", "400"),
        ROW("GET / http/1.1\r\n" H "\r\n", "400"),
        ROW("GET / HTTP/1,1\r\n" H "\r\n", "400"),
        ROW("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"),
        ROW("GET x HTTP/1.1\r\n" H "\r\n", "400"),
        ROW("GET * HTTP/1.1\r\n" H "\r\n", "400"),
        ROW("options * HTTP/1.1\r\n" H "\r\n", "400"),
        ROW("CONNECT a:443 HTTP/1.1\r\n" H "\r\n", "400"),
        ROW("GET /a#b HTTP/1.1\r\n" H "\r\n", "400"),
        ROW("GET /% HTTP/1.1\r\n" H "\r\n", "400"),
        ROW("GET /%4 HTTP/1.1\r\n" H "\r\n", "400"),
        ROW("GET /%4g HTTP/1.1\r\n" H "\r\n", "400"),
        ROW("GET /%00 HTTP/1.1\r\n" H "\r\n", "400"),
        ROW("GET /\x80 HTTP/1.1\r\n" H "\r\n", "400"),
        ROW("GET /\0 HTTP/1.1\r\n" H "\r\n", "400"),
        ROW("GET /\x7f HTTP/1.1\r\n" H "\r\n", "400"),
        ROW("GET http://b/ HTTP/1.1\r\n" H "\r\n", "400"),
        ROW("GET http://a:80/ HTTP/1.1\r\n" H "\r\n", "400"),
        ROW("GET http://u@a/ HTTP/1.1\r\n" H "\r\n", "400"),
        ROW("GET ftp://a/ HTTP/1.1\r\n" H "\r\n", "400"),
        ROW("GET http:///x HTTP/1.1\r\n" H "\r\n", "400"),
        ROW("GET //a HTTP/1.1\r\n" H "\r\n", "GET //a 1()"),
    };

    CHECK_ALL(rows);
}

TEST(bad_header_fields_are_refused)
{
    static const struct entry rows[] = {
        ROW("GET / HTTP/1.1\r\n\r\n", "400"),
        ROW("GET / HTTP/1.1\r\nHost:\r\n\r\n", "400"),
        ROW("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400"),
        ROW("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "400"),
        ROW("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "400"),
        ROW("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400"),
        ROW("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", "400"),
        ROW("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", "400"),
        ROW("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "400"),
        ROW("GET / HTTP/1.1\r\nHost: [x]\r\n\r\n", "400"),
        ROW("GET / HTTP/1.1\r\n" H H "\r\n", "400"),
        ROW("GET / HTTP/1.0\r\n" H H "\r\n", "400"),
        ROW("GET / HTTP/1.1\r\n X: y\r\n" H "\r\n", "400"),
        ROW(GET("X: y\r\n z\r\n"), "400"),
        ROW(GET("X: y\r\n\tz\r\n"), "400"),
        ROW(GET("X : y\r\n"), "400"),
        ROW(GET("X\t: y\r\n"), "400"),
        ROW(GET(": y\r\n"), "400"),
        ROW(GET("X\r\n"), "400"),
        ROW(GET("X\x80: y\r\n"), "400"),
        ROW(GET("X\0: y\r\n"), "400"),
        ROW(GET("X(: y\r\n"), "400"),
        ROW(GET("X: y\0z\r\n"), "400"),
        ROW(GET("X: y\rz\r\n"), "400"),
        ROW(GET("X: y\x0bz\r\n"), "400"),
        ROW(GET("X: y\x0c\r\n"), "400"),
        ROW(GET("X: y\x7f\r\n"), "400"),
        ROW(GET("X: y\n"), "400"),
        ROW("GET / HTTP/1.1\r\n" H "\n", "400"),
        ROW(GET("Authorization: a\r\nAuthorization: a\r\n"), "400"),
        ROW(GET("X-Api-Key: a\r\nx-api-key: b\r\n"), "400"),
        ROW(GET("X-Amz-Date: a\r\nX-Amz-Date: b\r\n"), "400"),
        ROW(GET("X-Amz-Security-Token: a\r\nX-Amz-Security-Token: b\r\n"), "400"),
        ROW(GET("Content-Type: a\r\nContent-Type: a\r\n"), "400"),
        ROW(GET("Expect: 200-ok\r\n"), "417"),
    };

    CHECK_ALL(rows);
}

TEST(ambiguous_framing_is_refused)
{
    static const struct entry rows[] = {
        ROW(POST("Content-Length: 1\r\n" CHUNKED "0\r\n\r\n"), "400"),
        ROW(POST("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n"), "400"),
        ROW(POST("Content-Length: 1\r\nContent-Length: 1\r\n\r\na"), "400"),
        ROW(POST("Content-Length: 1\r\nContent-Length: 2\r\n\r\na"), "400"),
        ROW(POST("Content-Length:\r\n\r\n"), "400"),
        ROW(POST("Content-Length: +1\r\n\r\na"), "400"),
        ROW(POST("Content-Length: -1\r\n\r\na"), "400"),
        ROW(POST("Content-Length: 0x1\r\n\r\na"), "400"),
        ROW(POST("Content-Length: 1_0\r\n\r\na"), "400"),
        ROW(POST("Content-Length: 1 0\r\n\r\na"), "400"),
        ROW(POST("Content-Length: 1,1\r\n\r\na"), "400"),
        ROW(POST("Content-Length: 1, 2\r\n\r\na"), "400"),
        ROW(POST("Content-Length: \x0b"
                 "1\r\n\r\na"),
            "400"),
        ROW(POST("Content-Length: 00000000000000000001\r\n\r\na"), "400"),
        ROW(POST("Content-Length: 18446744073709551617\r\n\r\na"), "400"),
        ROW(POST("Content-Length : 1\r\n\r\na"), "400"),
        ROW(POST("Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"), "501"),
        ROW(POST("Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n"), "501"),
        ROW(POST("Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n"), "501"),
        ROW(POST("Transfer-Encoding: identity\r\n\r\n"), "501"),
        ROW(POST("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), "501"),
        ROW(POST("Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"), "501"),
        ROW(POST("Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n"), "501"),
        ROW(POST("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), "501"),
        ROW(POST("Transfer-Encoding:\r\n\r\n0\r\n\r\n"), "501"),
        ROW(POST("Transfer-Encoding: chunked\r\n" CHUNKED "0\r\n\r\n"), "400"),
        ROW("POST / HTTP/1.0\r\n" CHUNKED "0\r\n\r\n", "400"),
    };

    CHECK_ALL(rows);
}

TEST(bad_chunks_are_refused)
{
    static const struct entry rows[] = {
        ROW(POST(CHUNKED "\r\n"), "400"),
        ROW(POST(CHUNKED "0x1\r\na\r\n"), "400"),
        ROW(POST(CHUNKED "+1\r\na\r\n"), "400"),
        ROW(POST(CHUNKED "-1\r\na\r\n"), "400"),
        ROW(POST(CHUNKED "1_0\r\na\r\n"), "400"),
        ROW(POST(CHUNKED " 1\r\na\r\n"), "400"),
        ROW(POST(CHUNKED "1 \r\na\r\n"), "400"),
        ROW(POST(CHUNKED "1\t;x\r\na\r\n"), "400"),
        ROW(POST(CHUNKED "g\r\n"), "400"),
        ROW(POST(CHUNKED "000000001\r\na\r\n"), "400"),
        ROW(POST(CHUNKED "100000000\r\na\r\n"), "400"),
        ROW(POST(CHUNKED "1\na\r\n"), "400"),
        ROW(POST(CHUNKED "1\r\r\na\r\n"), "400"),
        ROW(POST(CHUNKED "1;a\rb\r\na\r\n"), "400"),
        ROW(POST(CHUNKED "1;a\0b\r\na\r\n"), "400"),
        ROW(POST(CHUNKED "1\r\na\n0\r\n\r\n"), "400"),
        ROW(POST(CHUNKED "1\r\na\rX0\r\n\r\n"), "400"),
        ROW(POST(CHUNKED "1\r\nab\r\n0\r\n\r\n"), "400"),
        ROW(POST(CHUNKED "2\r\na\r\n0\r\n\r\n"), "400"),
        ROW(POST(CHUNKED "0\r\nX : y\r\n\r\n"), "400"),
        ROW(POST(CHUNKED "0\r\n X: y\r\n\r\n"), "400"),
        ROW(POST(CHUNKED "0\r\nX\r\n\r\n"), "400"),
        ROW(POST(CHUNKED "0\r\n\n"), "400"),
        ROW(POST(CHUNKED "ffffffff\r\na\r\n"), "413"),
        ROW(POST(CHUNKED "12d\r\na\r\n"), "413"),
        ROW(POST("Content-Length: 301\r\n\r\n"), "413"),
        ROW(POST("Content-Length: 9223372036854775807\r\n\r\n"), "413"),
    };

    CHECK_ALL(rows);
}

/* A request of the given parts, `n` times the letter x in the middle. */
static void check_long(const char *before, size_t n, const char *after, const char *expected)
{
    size_t a = strlen(before), b = strlen(after);
    char *bytes = malloc(a + n + b);

    memcpy(bytes, before, a);
    memset(bytes + a, 'x', n);
    memcpy(bytes + a + n, after, b);
    check(bytes, a + n + b, expected);
    free(bytes);
}

TEST(limits_hold_to_the_byte)
{
    const char *line = "GET / HTTP/1.1\r\n" H "X: ";
    size_t room = limits.max_head - strlen(line) - 4;

    check_long(line, room, "\r\n\r\n", "GET / 2()");
    check_long(line, room + 1, "\r\n\r\n", "431");
    check_long(line, 1000, "", "431");
    check_long("GET /", limits.max_head - 4, " HTTP/1.1\r\n" H "\r\n", "414");
    check_long("", 1000, "", "414");
    check_long(POST(CHUNKED "1;"), 256, "\r\na\r\n0\r\n\r\n", "POST / 2(a)");
    check_long(POST(CHUNKED "1;"), 257, "\r\na\r\n0\r\n\r\n", "400");
    check_long(POST(CHUNKED "0\r\nX: "), limits.max_head - 7, "\r\n\r\n", "POST / 2()");
    check_long(POST(CHUNKED "0\r\nX: "), limits.max_head - 6, "\r\n\r\n", "431");
}

TEST(too_many_fields_are_refused)
{
    static const struct http_limits wide = {.max_head = 65536, .max_body = 1};

    for (int n = HTTP_MAX_FIELDS; n <= HTTP_MAX_FIELDS + 1; n++) {
        struct http_parser parser;
        char bytes[2000] = "GET / HTTP/1.0\r\n";

        for (int i = 0; i < n; i++)
            strcat(bytes, "A: b\r\n");
        strcat(bytes, "\r\n");
        http_parser_init(&parser, &wide);
        EQ_INT(http_parser_feed(&parser, bytes, strlen(bytes)),
               n > HTTP_MAX_FIELDS ? HTTP_BAD : HTTP_DONE);
        EQ_INT(parser.status, n > HTTP_MAX_FIELDS ? 431 : 0);
        http_parser_fini(&parser);
    }
}

TEST(many_small_chunks_do_not_fill_the_memory)
{
    static const struct http_limits wide = {.max_head = 65536, .max_body = 100000};
    static const char head[] = POST(CHUNKED);
    struct http_parser parser;
    size_t len = sizeof head - 1, most = 0;
    char *request = malloc(130000);
    kp_server_request r = {0};

    memcpy(request, head, len);
    http_parser_init(&parser, &wide);
    for (int i = 0; i < 100000; i++) {
        memcpy(request + len, "1\r\na\r\n", 6);
        len += 6;
        EQ_INT(http_parser_feed(&parser, request, len), HTTP_MORE);
        len = http_parser_compact(&parser, request, len);
        most = len > most ? len : most;
        REQUIRE(len < 120000);
    }
    memcpy(request + len, "0\r\n\r\n", 5);
    EQ_INT(http_parser_feed(&parser, request, len + 5), HTTP_DONE);
    http_parser_request(&parser, request, &r);
    EQ_INT(r.body.len, 100000);
    YES(memchr(r.body.ptr, 'a', 1) && !memcmp(r.body.ptr, r.body.ptr + 1, 99999));
    YES(most < 110000);
    http_parser_fini(&parser);
    free(request);
}

TEST(names_become_lower_case_and_values_are_trimmed)
{
    static const char bytes[] = "GET / HTTP/1.1\r\nHOST: a\r\nX-Under_Score: \t Value A \t\r\n\r\n";
    char request[sizeof bytes];
    struct http_parser parser;
    kp_server_request r = {0};

    memcpy(request, bytes, sizeof bytes);
    http_parser_init(&parser, &limits);
    EQ_INT(http_parser_feed(&parser, request, sizeof bytes - 1), HTTP_DONE);
    http_parser_request(&parser, request, &r);
    EQ_INT(r.n_headers, 2);
    YES(r.headers[1].name.len == 13 && !memcmp(r.headers[1].name.ptr, "x-under_score", 13));
    YES(r.headers[1].value.len == 7 && !memcmp(r.headers[1].value.ptr, "Value A", 7));
    http_parser_fini(&parser);
}

static bool is_alnum(int c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_one_of(int c, const char *list)
{
    return c && strchr(list, c);
}

TEST(classes_of_bytes_are_those_of_the_standard)
{
    for (int c = 0; c < 256; c++) {
        char byte = (char)c;
        bool is_visible = c > 0x20 && c < 0x7f;

        YES(http_is_token(&byte, 1) == (is_alnum(c) || is_one_of(c, "!#$%&'*+-.^_`|~")));
        YES(http_is_value(&byte, 1) == (c == '\t' || (c >= 0x20 && c != 0x7f)));
        YES(http_is_authority(&byte, 1) == (is_alnum(c) || is_one_of(c, "-._~!$&'()*+,;=")));
        YES(http_is_target(&byte, 1) == (is_visible && !is_one_of(c, "#%")));
    }
}
