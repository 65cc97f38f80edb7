/* aws_world.h - what surrounds the AWS client in its tests: an empty environment, and one small
 * server on 127.0.0.1 that plays a service, STS, a container's agent and the instance's metadata.
 *
 * Requests are answered by a script, in its order per path. Signed ones are verified first: the
 * secret of key id K is "secret-of-K", its session token, when one is sent, "token-of-K" ("test"
 * for "test"); what does not verify is answered 403 as AWS does.
 */
#ifndef KPIPE_TESTS_AWS_WORLD_H
#define KPIPE_TESTS_AWS_WORLD_H

#include <kpipe/ext/aws.h>
#include <uv.h>

#include "core/aws/aws_client.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "sdk/wire/slice.h"
#include "tests/kptest.h"

#define WORLD_CUT  0  /* status: the connection is closed without an answer */
#define WORLD_HOLD -1 /* no answer ever comes */

/* An empty environment (no AWS_* variable, HOME an empty directory, no instance metadata), a loop,
 * a server and an HTTP client; end puts the environment back. */
void world_begin(void);
void world_end(void);

uv_loop_t *world_loop(void);
struct http_client *world_http(void);
const char *world_url(void); /* "http://127.0.0.1:PORT" */

/* Until world_end(). NULL unsets. */
void world_env(const char *name, const char *value);
/* Writes a file below the home directory and returns its path. [static, 4 in turn] */
const char *world_file(const char *name, const char *text);

/* The next unused line of the script whose path begins the request's target answers it. `headers`:
 * whole lines with CRLF each, or NULL. Texts must live as long as the world. */
void world_script(const char *path, int status, const char *headers, const char *body);
/* What answers beyond the script, until it is called again. */
void world_always(int status, const char *body);
/* Their clock minus ours. */
void world_skew(int64_t seconds);

/* What has been asked so far. */
size_t world_n_seen(void);
const char *world_line(size_t i); /* "POST /path?query" */
const char *world_body(size_t i);
/* The value of a header, name in lower case; "" when it is not there. [static, 4 in turn] */
const char *world_header(size_t i, const char *name);

/* Lets the loop run until the condition holds; fails the test after 20 s of real time. */
#define WORLD_UNTIL(condition)                                         \
    for (uint64_t until_ = uv_hrtime() + 20000000000; !(condition);) { \
        REQUIRE(uv_hrtime() < until_);                                 \
        world_turn();                                                  \
    }
void world_turn(void);

#endif
