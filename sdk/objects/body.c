/* body.c - see body.h.
 *
 * The slab doubles up to the usual size of an object and then grows by what is
 * needed, so an object costs one copy of its bytes at most. Compression writes
 * straight into the slab.
 */
#include "sdk/objects/body.h"

#include <stdlib.h>
#include <string.h>

#include "sdk/wire/gzip.h"

#define FIRST_BYTES 65536

bool kpo_body_open(struct kpo_body *body, bool gzip, size_t usual)
{
    *body = (struct kpo_body){.usual = usual};
    if (!gzip)
        return true;
    body->gzip = kpw_gzip_new();
    return body->gzip != NULL;
}

/* Moves the bytes into a slab of `cap` bytes. */
static bool grow(struct kpo_body *body, kp_node *node, size_t cap, bool *ret_starved)
{
    bool reserved = kp->reserve(node, cap);
    kp_slab *slab = kp->slab_new(node, cap);

    if (!reserved)
        *ret_starved = true;
    if (!slab) {
        if (reserved)
            kp->unreserve(node, cap);
        return false;
    }
    if (body->slab) {
        memcpy(kp->slab_data(slab), kp->slab_data(body->slab), body->len);
        kp->slab_unref(body->slab);
    }
    body->slab = slab;
    body->cap = cap;
    return true;
}

bool kpo_body_room(struct kpo_body *body, kp_node *node, size_t more, bool *ret_starved)
{
    size_t need = body->len + (body->gzip ? kpw_gzip_room(body->gzip, more) : more);
    size_t cap = body->cap ? body->cap * 2 : FIRST_BYTES;

    if (body->slab && need <= body->cap)
        return true;
    if (cap > body->usual)
        cap = body->usual;
    if (cap < need)
        cap = need + need / 8;
    return grow(body, node, cap, ret_starved);
}

void kpo_body_put(struct kpo_body *body, const char *data, size_t len)
{
    char *to = kp->slab_data(body->slab) + body->len;

    if (body->gzip)
        body->len += kpw_gzip_append_to(body->gzip, data, len, to, body->cap - body->len);
    else if (len)
        memcpy(to, data, len);
    if (!body->gzip)
        body->len += len;
}

bool kpo_body_close(struct kpo_body *body, kp_node *node)
{
    bool starved;

    if (!kpo_body_room(body, node, 0, &starved))
        return false;
    if (!body->gzip)
        return true;
    body->len += kpw_gzip_finish_to(body->gzip, kp->slab_data(body->slab) + body->len,
                                    body->cap - body->len);
    kpw_gzip_free(body->gzip);
    body->gzip = NULL;
    return true;
}

void kpo_body_free(struct kpo_body *body)
{
    if (body->slab)
        kp->slab_unref(body->slab);
    if (body->gzip)
        kpw_gzip_free(body->gzip);
    *body = (struct kpo_body){0};
}
