/* body.h - the bytes of an object that is being built, compressed as they come.
 *
 * Room is asked for before bytes are put, so that putting cannot fail half way.
 *
 * Owned by: a buffer of objects.c.   Threads: its worker only.
 */
#ifndef KPIPE_SDK_OBJECTS_BODY_H
#define KPIPE_SDK_OBJECTS_BODY_H

#include <kpipe/plugin.h>
#include <stdbool.h>

struct kpw_gzip;

struct kpo_body {
    kp_slab *slab; /* [owned] NULL until there is room */
    size_t len, cap;
    size_t usual;          /* the size that most objects stay below */
    struct kpw_gzip *gzip; /* [owned] NULL: not compressed */
};

/* False: no memory. */
bool kpo_body_open(struct kpo_body *body, bool gzip, size_t usual);
/* Makes room for `more` bytes before compression. False: no memory, nothing was changed.
 * *ret_starved is set when the host had no room in its budget and the memory was taken all the
 * same. */
bool kpo_body_room(struct kpo_body *body, kp_node *node, size_t more, bool *ret_starved);
void kpo_body_put(struct kpo_body *body, const char *data, size_t len);
/* Ends the compressed stream; afterwards slab and len are the object. */
bool kpo_body_close(struct kpo_body *body, kp_node *node);
void kpo_body_free(struct kpo_body *body);

#endif
