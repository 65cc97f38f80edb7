/* batch.c - see batch.h: the record table, its memory and the moving of records.
 *
 * Marks are in outcome.c, groups in group.c. The table is one malloc'd array
 * that doubles; the arena is a list of blocks, the first sized to the request,
 * so that a batch that is never changed costs two allocations.
 */
#include "core/run/batch.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/budget.h"
#include "core/base/error.h"
#include "core/base/mem.h"
#include "core/base/slab.h"

#define BLOCK_BYTES 65536

struct block {
    struct block *next;
    size_t used, cap;
    char data[];
};

/* Memory that records of several batches may point into. */
struct memory {
    _Atomic unsigned refs;
    struct budget *budget; /* [borrowed] */
    size_t counted;
    struct block *blocks;
    kp_slab **slabs;
    size_t n_slabs, slabs_cap;
};

static struct memory *memory_new(struct budget *budget)
{
    struct memory *memory = mem_new(sizeof *memory);

    atomic_init(&memory->refs, 1);
    memory->budget = budget;
    return memory;
}

static void memory_unref(struct memory *memory)
{
    if (!memory || atomic_fetch_sub_explicit(&memory->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (struct block *block = memory->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    for (size_t i = 0; i < memory->n_slabs; i++)
        slab_unref(memory->slabs[i]);
    budget_give(memory->budget, memory->counted);
    free(memory->slabs);
    free(memory);
}

static char *memory_alloc(struct memory *memory, size_t bytes)
{
    struct block *block = memory->blocks;
    size_t cap;

    bytes = (bytes + 7) & ~(size_t)7;
    if (!block || block->cap - block->used < bytes) {
        cap = bytes > BLOCK_BYTES / 4 ? bytes : block ? BLOCK_BYTES : BLOCK_BYTES / 8;
        if (cap < bytes)
            cap = bytes;
        block = malloc(sizeof *block + cap);
        if (!block)
            return NULL;
        budget_force(memory->budget, cap);
        memory->counted += cap;
        *block = (struct block){.next = memory->blocks, .cap = cap};
        memory->blocks = block;
    }
    block->used += bytes;
    return block->data + block->used - bytes;
}

static struct memory *memory_of(struct batch *batch)
{
    if (!batch->memory)
        batch->memory = memory_new(batch->budget);
    return batch->memory;
}

/* ---- the table */

static bool table_room(struct batch *batch, uint32_t more)
{
    uint32_t cap = batch->cap ? batch->cap : 8;
    kp_record *records;
    size_t bytes;

    if (more <= batch->cap - batch->pub.count)
        return true;
    while (cap - batch->pub.count < more) {
        if (cap > UINT32_MAX / 2)
            return false;
        cap *= 2;
    }
    bytes = (size_t)cap * sizeof *records;
    records = realloc(batch->records, bytes);
    if (!records)
        return false;
    if (batch->marks) {
        batch->marks = mem_grow(batch->marks, cap * sizeof *batch->marks);
        memset(batch->marks + batch->cap, 0, (cap - batch->cap) * sizeof *batch->marks);
    }
    budget_force(batch->budget, bytes - batch->counted);
    batch->counted = bytes;
    batch->pub.records = batch->records = records;
    batch->cap = cap;
    return true;
}

kp_batch *batch_new(struct budget *budget, kp_lane *own_lane, uint32_t expected)
{
    struct batch *batch = mem_new(sizeof *batch);

    batch->pub.size = sizeof batch->pub;
    batch->pub.record_size = sizeof *batch->records;
    batch->budget = budget;
    batch->mixed_lane = own_lane;
    if (expected && expected < UINT32_MAX / 2) {
        uint32_t cap = expected;

        batch->records = malloc((size_t)cap * sizeof *batch->records);
        if (batch->records) {
            batch->cap = cap;
            batch->counted = (size_t)cap * sizeof *batch->records;
            budget_force(budget, batch->counted);
        }
        batch->pub.records = batch->records;
    }
    return &batch->pub;
}

static void free_mark(struct mark *mark)
{
    free(mark->reason);
    free(mark->receipt);
    free(mark->failure);
    *mark = (struct mark){0};
}

uint32_t batch_free(kp_batch *b)
{
    struct batch *batch = batch_of(b);
    uint32_t lost = 0;

    for (uint32_t i = 0; i < b->count; i++) {
        if (batch->records[i].outcome != OUTCOME_GONE && batch->records[i].ticket[0]) {
            batch_settle(b, i, END_UNSETTLED, NULL, NULL);
            lost++;
        }
        if (batch->marks)
            free_mark(&batch->marks[i]);
    }
    memory_unref(batch->memory);
    for (size_t i = 0; i < batch->n_others; i++)
        memory_unref(batch->others[i]);
    budget_give(batch->budget, batch->counted);
    free(batch->others);
    free(batch->marks);
    free(batch->records);
    free(batch);
    return lost;
}

kp_record *batch_append(kp_batch *b, uint32_t n)
{
    struct batch *batch = batch_of(b);
    kp_record *first;

    if (!table_room(batch, n))
        return NULL;
    first = batch->records + b->count;
    memset(first, 0, (size_t)n * sizeof *first);
    b->count += n;
    return first;
}

void batch_keep(kp_batch *b, kp_slab *slab)
{
    struct memory *memory = memory_of(batch_of(b));

    mem_room(&memory->slabs, &memory->slabs_cap, memory->n_slabs, sizeof(kp_slab *));
    slab_ref(slab);
    memory->slabs[memory->n_slabs++] = slab;
}

char *batch_alloc(kp_batch *b, size_t bytes)
{
    return memory_alloc(memory_of(batch_of(b)), bytes);
}

static void keep_memory(struct batch *batch, struct memory *memory)
{
    mem_room(&batch->others, &batch->others_cap, batch->n_others, sizeof(struct memory *));
    atomic_fetch_add_explicit(&memory->refs, 1, memory_order_relaxed);
    batch->others[batch->n_others++] = memory;
}

/* Records of one source batch come in runs: what was kept last is then all that src has. */
static bool keeps_all(const struct batch *out, const struct batch *src)
{
    size_t n = src->n_others + (src->memory != NULL);
    struct memory *const *last;

    if (out->n_others < n)
        return false;
    last = out->others + out->n_others - n;
    for (size_t i = 0; i < src->n_others; i++)
        if (last[i] != src->others[i])
            return false;
    return !src->memory || last[n - 1] == src->memory;
}

static void keep_all(struct batch *out, const struct batch *src)
{
    if (out == src || keeps_all(out, src))
        return;
    for (size_t i = 0; i < src->n_others; i++)
        keep_memory(out, src->others[i]);
    if (src->memory)
        keep_memory(out, src->memory);
}

static void set_lane(struct batch *out, const kp_batch *src)
{
    if (out->pub.count == 1 && !out->pub.lane) {
        out->pub.lane = src->lane;
        out->pub.lane_name = src->lane_name;
    } else if (out->pub.lane != src->lane) {
        out->pub.lane = out->mixed_lane;
        out->pub.lane_name = (kp_slice){"", 0};
    }
}

/* Copies record i of src behind the others of out, without its mark. */
static kp_record *copy_record(kp_batch *out, kp_batch *src, uint32_t i)
{
    struct batch *to = batch_of(out), *from = batch_of(src);
    kp_record *record = batch_append(out, 1);

    if (!record)
        return NULL;
    *record = from->records[i];
    record->outcome = KP_NONE;
    keep_all(to, from);
    set_lane(to, src);
    /* Of records that were tried differently often the least counts: none is rejected early. */
    if (out->count == 1 || from->attempts < to->attempts)
        to->attempts = from->attempts;
    return record;
}

static void mark_gone(struct batch *batch, uint32_t i)
{
    kp_record *record = &batch->records[i];

    batch->n_marked += record->outcome == KP_NONE;
    record->outcome = OUTCOME_GONE;
    record->ticket[0] = NULL;
}

static struct origin *ticket_of(const struct batch *batch, uint32_t i, uint32_t *ret_index)
{
    const kp_record *record = &batch->records[i];

    if (record->outcome == OUTCOME_GONE)
        bug("record %u of a batch was settled, moved or grouped before", i);
    *ret_index = (uint32_t)(uintptr_t)record->ticket[1];
    return record->ticket[0];
}

void batch_set_ticket(kp_batch *b, uint32_t i, struct origin *origin, uint32_t index)
{
    kp_record *record = &batch_of(b)->records[i];

    record->ticket[0] = origin;
    record->ticket[1] = (void *)(uintptr_t)index;
}

kp_record *batch_move(kp_batch *out, kp_batch *src, uint32_t i)
{
    uint32_t index;
    kp_record *record;

    ticket_of(batch_of(src), i, &index);
    record = copy_record(out, src, i);
    if (record)
        mark_gone(batch_of(src), i);
    return record;
}

kp_record *batch_derive(kp_batch *out, kp_batch *src, uint32_t i)
{
    uint32_t index;
    struct origin *origin = ticket_of(batch_of(src), i, &index);
    kp_record *record = copy_record(out, src, i);

    if (record && origin)
        origin->ops->share(origin, index);
    return record;
}

kp_batch *batch_ref(kp_batch *b)
{
    kp_batch *copy = batch_new(batch_of(b)->budget, batch_of(b)->mixed_lane, b->count);

    for (uint32_t i = 0; i < b->count; i++) {
        if (batch_of(b)->records[i].outcome == OUTCOME_GONE)
            continue;
        if (!batch_derive(copy, b, i)) {
            batch_free(copy);
            return NULL;
        }
    }
    copy->lane = b->lane;
    copy->lane_name = b->lane_name;
    return copy;
}

kp_batch *batch_writable(kp_batch *b)
{
    return b; /* ref() copies the table at once, so every batch has one owner */
}

void batch_settle(kp_batch *b, uint32_t i, enum end how, const kp_slice *reason,
                  const kp_receipt *receipt)
{
    struct batch *batch = batch_of(b);
    uint32_t index;
    struct origin *origin = ticket_of(batch, i, &index);

    mark_gone(batch, i);
    if (origin)
        origin->ops->settle(origin, index, how, reason, receipt);
}

void batch_compact(kp_batch *b)
{
    struct batch *batch = batch_of(b);
    uint32_t n = 0;

    for (uint32_t i = 0; i < b->count; i++) {
        bool gone = batch->records[i].outcome == OUTCOME_GONE;

        if (gone) {
            if (batch->marks)
                free_mark(&batch->marks[i]);
            continue;
        }
        if (n != i) {
            batch->records[n] = batch->records[i];
            if (batch->marks) {
                batch->marks[n] = batch->marks[i];
                batch->marks[i] = (struct mark){0};
            }
        }
        n++;
    }
    batch->n_marked -= b->count - n;
    b->count = n;
}

/* ---- changing records */

void batch_point(kp_batch *b, uint32_t i, const char *data, size_t len)
{
    kp_record *record = &batch_of(b)->records[i];

    if (len > UINT32_MAX)
        bug("a record of %zu bytes: the ABI ends at 4 GiB", len);
    record->data = data;
    record->data_len = (uint32_t)len;
}

bool batch_set(kp_batch *b, uint32_t i, const char *data, size_t len)
{
    char *copy = batch_alloc(b, len + 1);

    if (!copy)
        return false;
    if (len)
        memcpy(copy, data, len);
    copy[len] = '\0';
    batch_point(b, i, copy, len);
    return true;
}

bool batch_set_key(kp_batch *b, uint32_t i, const char *key, size_t len)
{
    kp_record *record = &batch_of(b)->records[i];
    char *copy = batch_alloc(b, len + 1);

    if (!copy)
        return false;
    if (len)
        memcpy(copy, key, len);
    copy[len] = '\0';
    record->key = copy;
    record->key_len = (uint32_t)len;
    return true;
}

void batch_set_type(kp_batch *b, uint32_t i, const char *type, int encoding)
{
    batch_of(b)->records[i].type = type;
    batch_of(b)->records[i].encoding = (uint32_t)encoding;
}
