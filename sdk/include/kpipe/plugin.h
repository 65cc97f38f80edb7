/* plugin.h - the kpipe plugin ABI: the only header a plugin needs.
 *
 * A plugin is a .so with one exported function, kpipe_plugin(), made by the
 * KP_PLUGIN macro at the end of its file. It gets the host's services as one
 * table (kp) and returns a constant description of the stages it brings. It
 * links to no kpipe library: every call goes through kp, every type is here.
 *
 * Life of a record. A source reads bytes into slabs, makes a batch of records
 * that are slices of them and submits it on a lane (one ordered sequence: a
 * shard, a connection). The host then gives every record a ticket. The batch
 * runs through the transforms to the sink, and each ticket ends in exactly one
 * outcome: delivered, filtered or dead-lettered; or it stays unsettled and the
 * record is read again later. A lane's watermark moves over the gap-free run of
 * settled batches, and only the watermark is checkpointed.
 *
 * Ownership. [consumes]: the callee owns the argument from the call on, also on
 * failure. [borrowed]: valid until stated, else until the call returns. Batches,
 * slabs and groups are counted references.
 *
 * Threads. Marks stand on every row: [main] before the pipeline starts or after
 * it ended, [worker] the worker thread of this node, [any] any thread. The host
 * makes one state per worker and never calls one state from two threads, so a
 * plugin needs no lock. A row without a mark has the mark of the row above.
 *
 * Compatibility. Structs carry their size; tables and structs only grow at the
 * end, by a new KP_ABI_MINOR. A plugin built against 1.x loads into every host
 * 1.y with y >= x. sdk/abi/ lists sizes and offsets; a test compares.
 */
#ifndef KPIPE_PLUGIN_H
#define KPIPE_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KP_ABI_MAJOR 1 /* a change here refuses older plugins */
#define KP_ABI_MINOR 2 /* grows when a table or struct below gets a new last row */

/* ---- basic types ---------------------------------------------------------------------------- */

typedef enum kp_status {
    KP_OK = 0,
    KP_FATAL = 1, /* the flow cannot go on; kp->fail() has said why. Exit code 1 */
} kp_status;

/* How a record ended at a node. A record that is not marked when a transform emits goes on;
 * one that is not marked when a sink is done counts as KP_RETRY and is reported as a plugin bug. */
typedef enum kp_outcome {
    KP_NONE = 0,
    KP_DELIVERED = 1, /* sinks only: the outside world has it, durably */
    KP_FILTERED = 2,  /* dropped on purpose */
    KP_REJECTED = 3, /* can never succeed: goes to the flow's on_failure sink, ends dead-lettered */
    KP_RETRY = 4,    /* the host gives it to the same node again, after a back-off, in lane order */
} kp_outcome;

typedef enum kp_kind {
    KP_SOURCE = 1,
    KP_TRANSFORM = 2,
    KP_SINK = 3,
    KP_PROVISIONER = 4, /* makes or describes the resources of a pipeline */
    KP_SERVICE = 5,     /* runs beside the pipeline on a worker of its own, e.g. the local AWS */
} kp_kind;

typedef struct kp_slice {
    const char *ptr; /* not NUL-terminated */
    size_t len;      /* bytes */
} kp_slice;

typedef struct kp_node kp_node;         /* one configured stage on one worker [owned by host] */
typedef struct kp_lane kp_lane;         /* one ordered sequence of a source [owned by host] */
typedef struct kp_slab kp_slab;         /* counted memory that records point into */
typedef struct kp_group kp_group;       /* tickets of many records that became one */
typedef struct kp_function kp_function; /* a Lua function of the pipeline file; see ext/lua.h */

/* ---- options ----------------------------------------------------------------------------------
 */

/* The host parses, checks and converts what the pipeline file says, and writes it into the config
 * struct at `offset`. C type of the field is given behind each type. Optional values without a
 * default are 0 / NULL / false. All pointers are [owned by host] and live as long as the node. */
typedef enum kp_type {
    KP_T_STRING = 1, /* const char * */
    KP_T_INT,        /* int64_t */
    KP_T_NUMBER,     /* double */
    KP_T_BOOL,       /* bool */
    KP_T_BYTES,      /* int64_t, bytes; "5MiB" in the file */
    KP_T_DURATION,   /* int64_t, milliseconds; "30s" in the file */
    KP_T_ENUM,       /* int, index into the choices of `check` ("a|b|c") */
    KP_T_SECRET,     /* const char *; k.secret "env:NAME" or "file:PATH"; never printed */
    KP_T_LIST,       /* kp_list of strings */
    KP_T_MAP,        /* kp_map, string to value in file order */
    KP_T_FUNCTION,   /* const kp_function *; a Lua function */
    KP_T_VALUE,      /* kp_value: a string, k.field "$.path" or a Lua function */
    KP_T_RESOURCE,   /* const kp_resource *; `check` names the resource kind */
    KP_T_GROUP,      /* nested options: `rows` are relative to this row's offset */
} kp_type;

typedef enum kp_value_kind {
    KP_V_NONE = 0,
    KP_V_TEXT,     /* text as it is */
    KP_V_FIELD,    /* text is a JSON path, "$.a.b[0]" */
    KP_V_FUNCTION, /* fn */
    KP_V_SECRET,   /* text; do not log */
} kp_value_kind;

typedef struct kp_value {
    kp_value_kind kind;
    const char *text;
    const kp_function *fn;
} kp_value;

typedef struct kp_list {
    const char *const *items;
    size_t count;
} kp_list;

typedef struct kp_map_item {
    const char *name;
    kp_value value;
} kp_map_item;

typedef struct kp_map {
    const kp_map_item *items;
    size_t count;
} kp_map;

/* A resource of the pipeline file (k.resource.stream {...}). Numbers and durations are given as
 * decimal text (durations in milliseconds, sizes in bytes). */
typedef struct kp_property {
    const char *name, *value;
} kp_property;

typedef struct kp_resource {
    uint32_t size;
    const char *kind; /* "stream", "bucket", "queue", "function" */
    const char *name;
    const kp_property *properties;
    size_t n_properties;
} kp_resource;

#define KP_REQUIRED ((const char *)0) /* as `dflt`: the key must be given */
#define KP_OPTIONAL ""                /* as `dflt`: may be left out */

typedef struct kp_option kp_option;
struct kp_option {
    const char *name;      /* key in the pipeline file; NULL ends the list */
    kp_type type;          /* */
    size_t offset;         /* into the config struct */
    const char *dflt;      /* text as in the file, KP_REQUIRED or KP_OPTIONAL */
    const char *check;     /* "1..1000" (in the type's unit as text: "1s..5m"), "a|b|c", or NULL */
    const char *help;      /* one line; documents, man page and editor stubs are made from it */
    const kp_option *rows; /* KP_T_GROUP only */
};

/* ---- records and batches -----------------------------------------------------------------------
 */

/* Why a record was given to an on_failure sink that declares KP_TAKES_FAILURES. [owned by batch] */
typedef struct kp_failure {
    uint32_t size;
    uint32_t attempts;  /* how often it was tried */
    uint64_t batch;     /* equal for records that were rejected together (one failed call) */
    kp_slice stage;     /* who rejected it */
    kp_slice condition; /* machine-readable, e.g. "RetryAttemptsExhausted"; may be empty */
    kp_slice reason;    /* for a person */
    kp_slice detail;    /* JSON from the rejecting stage, e.g. the function's error; may be empty */
    kp_slice lane;      /* shard id */
    kp_slice stream;    /* what the lane belongs to, e.g. a stream ARN; may be empty */
} kp_failure;

typedef struct kp_record {
    const char *data;          /* the payload [borrowed from the batch, like all pointers here] */
    const char *key;           /* partition key; for an object record the object key */
    const char *sequence;      /* decimal digits as given by the source, or NULL */
    const char *type;          /* media type of the payload, or NULL for unknown; NUL-terminated */
    const kp_failure *failure; /* only for KP_TAKES_FAILURES sinks, else NULL */
    uint32_t data_len;
    uint32_t key_len;
    uint32_t sequence_len;
    uint32_t encoding;     /* enum kp_encoding of the payload */
    uint64_t sub_sequence; /* position inside an aggregated record, else 0 */
    int64_t arrival_ms;    /* when the stream or door got it, Unix milliseconds */
    uint8_t outcome;       /* kp_outcome, set through the table only */
    uint8_t reserved[7];   /* the host's */
    void *ticket[2];       /* the host's */
} kp_record;

enum kp_encoding { KP_PLAIN = 0, KP_GZIP = 1 };

typedef struct kp_batch {
    uint32_t size;
    uint32_t record_size; /* distance of two records in bytes: use kp_at() */
    uint32_t count;
    uint32_t reserved;
    const kp_record *records;
    kp_lane *lane;      /* where its records come from; the node's own lane when merged */
    kp_slice lane_name; /* shard id, connection, file */
} kp_batch;

static inline const kp_record *kp_at(const kp_batch *b, uint32_t i)
{
    return (const kp_record *)(const void *)((const char *)b->records + (size_t)i * b->record_size);
}

/* Where a lane stands. `text` is at most KP_POSITION_MAX bytes; only the source reads it. */
#define KP_POSITION_MAX 191
typedef struct kp_position {
    kp_slice text; /* for Kinesis the sequence number */
    uint64_t sub;  /* sub-sequence number */
} kp_position;

/* Of a lane that is a shard: for the lease table. Slices are copied; empty ones are not known. */
typedef struct kp_lane_about {
    uint32_t size;
    kp_slice parents[2];          /* shard ids */
    kp_slice low_hash, high_hash; /* hash keys in decimal, inclusive */
    /* appended in 1.2 */
    bool is_closed; /* nothing new is written to it: it has an end */
} kp_lane_about;

/* What an offer of lanes says beside the lanes. */
typedef struct kp_offer {
    uint32_t size;
    const char *begin; /* where lanes without a checkpoint begin: "TRIM_HORIZON", "LATEST",
                          "AT_TIMESTAMP" */
    bool
        is_fixed; /* exactly these lanes are read here, without sharing them with other processes */
} kp_offer;

/* Position text of a lane that is done with: its last record is settled and none will come. */
#define KP_POSITION_END "SHARD_END"

/* A lane that this process may read. [borrowed for the call] */
typedef struct kp_grant {
    uint32_t size;
    kp_slice name;
    kp_position start; /* its checkpoint: a position of the source, or the word of kp_offer.begin (a
                          lane that came after another is "TRIM_HORIZON") */
    kp_lane_about about;
} kp_grant;

/* What a sink learned when it delivered a record; a request/response source answers with it. */
typedef struct kp_receipt {
    uint32_t size;
    int32_t status;     /* HTTP-like, 200 when unset */
    kp_slice shard;     /* Kinesis: shard id */
    kp_slice sequence;  /* Kinesis: sequence number */
    kp_slice body;      /* e.g. a function's answer */
    kp_slice body_type; /* media type of body */
} kp_receipt;

/* One record's end, as the source hears it. [borrowed for the call] */
typedef struct kp_result {
    kp_outcome outcome; /* DELIVERED, FILTERED, REJECTED (dead-lettered), RETRY (left unsettled) */
    kp_slice reason;    /* of REJECTED and RETRY */
    kp_receipt receipt; /* of DELIVERED */
} kp_result;

/* ---- what a node may know about itself ----------------------------------------------------------
 */

typedef struct kp_info {
    uint32_t size;
    uint32_t worker, n_workers; /* this node's worker; lanes are spread over all */
    const char *pipeline, *flow, *stage;
    const char *application; /* name of the lease table and consumer */
    bool local;              /* the embedded AWS is used */
    bool no_limits;
    const char *local_dir;        /* data directory of the local AWS, "" with --aws */
    const char *const *functions; /* reserved */
    const kp_resource *const *resources;
    size_t n_resources;
} kp_info;

/* ---- the host table
 * ------------------------------------------------------------------------------ */

enum kp_log_level { KP_LOG_ERROR = 0, KP_LOG_WARN, KP_LOG_INFO, KP_LOG_DEBUG };

typedef struct kp_host {
    uint32_t size; /* sizeof in the host; rows are only ever appended */
    uint16_t abi_major, abi_minor;

    /* -- services: [any] */
    /* `event` is a fixed dotted name, `fmt` makes "key=value ...". */
    void (*log)(kp_node *, int level, const char *event, const char *fmt, ...)
        __attribute__((format(printf, 4, 5)));
    int64_t (*now_ms)(void);  /* monotonic */
    int64_t (*wall_ms)(void); /* Unix time */
    /* Host services by name and version, e.g. "http/1": a table of ext/NAME.h, or NULL. */
    const void *(*extension)(const char *name);
    const kp_info *(*info)(kp_node *);

    /* -- errors: [main] in open, [worker] elsewhere. Returns KP_FATAL, so that
     *    `return kp->fail(node, ...)` reads well. The batch in hand is retired as retry. */
    kp_status (*fail)(kp_node *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

    /* -- sources: [worker] */
    /* Opens the lane `name`. *ret_start is where its checkpoint stands (text.len == 0: none)
     * [borrowed until the lane is closed]. `lane_state` comes back in wake(). The lane is
     * [owned by host] and stays valid until lane_close(). */
    kp_lane *(*lane_open)(kp_node *, const char *name, void *lane_state, kp_position *ret_start);
    /* No more records on this lane. The host keeps it until all its tickets are settled. */
    void (*lane_close)(kp_lane *);
    /* True while the lane may submit: its share and the budgets have room. When it answers false
     * the host calls wake() as soon as that changes. */
    bool (*lane_ready)(kp_lane *);
    /* Takes `bytes` from the memory budgets for what will be read next; slab_new() then draws
     * from it. False: no room, wake() comes. What is not drawn is given back by unreserve(). */
    bool (*reserve)(kp_node *, size_t bytes);
    void (*unreserve)(kp_node *, size_t bytes);
    /* [consumes b] `end` is the position after the last record. With a token, settled() is called
     * once every record of the batch has ended. */
    void (*submit)(kp_lane *, kp_batch *b, const kp_position *end, void *token);
    void (*ended)(kp_node *);     /* a bounded source has nothing more; a provisioner is done */
    void (*caught_up)(kp_node *); /* the answer to catch_up() */

    /* -- memory: [worker] */
    kp_slab *(*slab_new)(kp_node *, size_t capacity); /* NULL: out of memory */
    char *(*slab_data)(kp_slab *);
    void (*slab_ref)(kp_slab *); /* [any] */
    void (*slab_unref)(kp_slab *);

    /* -- building batches */
    kp_batch *(*batch_new)(kp_node *, uint32_t expected);
    /* n zeroed records at the end; fill them in before the next call. NULL: out of memory. */
    kp_record *(*append)(kp_batch *, uint32_t n);
    /* The batch keeps the slab alive: its records may point into it. */
    void (*keep)(kp_batch *, kp_slab *);
    /* Memory that lives as long as the batch; NULL: out of memory. */
    char *(*alloc)(kp_batch *, size_t bytes);
    kp_batch *(*ref)(kp_batch *);
    /* [consumes] Gives up a batch whose records were all moved, grouped or marked. */
    void (*release)(kp_node *, kp_batch *);

    /* -- transforms: changing records */
    /* [consumes] The same batch when nobody else has it, else a copy of the record table. */
    kp_batch *(*writable)(kp_batch *);
    /* New payload, copied into the batch. False: out of memory, the record is unchanged. */
    bool (*set)(kp_batch *, uint32_t i, const char *data, size_t len);
    /* New payload that lives in alloc() or keep() memory of this batch. */
    void (*point)(kp_batch *, uint32_t i, const char *data, size_t len);
    bool (*set_key)(kp_batch *, uint32_t i, const char *key, size_t len);
    void (*set_type)(kp_batch *, uint32_t i, const char *type /* [static] */, int encoding);
    /* Record i of src goes on in `out`; its memory goes with it. NULL: out of memory. */
    kp_record *(*move)(kp_batch *out, kp_batch *src, uint32_t i);
    /* One more record in `out` that shares the ticket of src[i]: the worst outcome wins. */
    kp_record *(*derive)(kp_batch *out, kp_batch *src, uint32_t i);

    /* -- many records into one */
    kp_group *(*group_new)(kp_node *);
    /* Moves the ticket of record i into the group; the record is then done with here. */
    void (*group_take)(kp_group *, kp_batch *, uint32_t i);
    uint64_t (*group_count)(const kp_group *);
    /* [consumes g] A record that stands for all of the group. */
    kp_record *(*append_group)(kp_batch *out, kp_group *g);
    void (*group_free)(kp_group *); /* its records count as retry */

    /* -- outcomes: marks on the records of a batch in hand */
    void (*deliver)(kp_batch *, uint32_t i, const kp_receipt *); /* receipt copied, may be NULL */
    void (*deliver_all)(kp_batch *);                             /* all that are not marked */
    void (*filter)(kp_batch *, uint32_t i);
    void (*reject)(kp_batch *, uint32_t i, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
    /* With all parts; slices are copied. `stage` and `lane` are filled in by the host. */
    void (*reject_with)(kp_batch *, uint32_t i, const kp_failure *);
    /* after_ms: not before; 0 = the host's back-off alone. */
    void (*retry)(kp_batch *, uint32_t i, int64_t after_ms, const char *fmt, ...)
        __attribute__((format(printf, 4, 5)));

    /* -- passing on: [worker] [consumes]; at once from process() or any time later */
    void (*emit)(kp_node *,
                 kp_batch *); /* source-side of a transform: marks are acted on, the rest goes on */
    void (*done)(kp_node *, kp_batch *); /* end of a batch in a sink */

    /* -- work of half a millisecond or more: `fn` runs on the pool [any], `after` here [worker];
     *    close() comes after the last `after`. */
    void (*work)(kp_node *, void (*fn)(void *), void (*after)(kp_node *, void *), void *arg);

    /* -- services and provisioners */
    /* A service is up at `url`; the pipeline starts when all are. */
    void (*ready)(kp_node *, const char *url);

    /* -- metrics: [worker] adds to a counter named kpipe_NAME_total of this node. */
    void (*count)(kp_node *, const char *name /* [static] */, int64_t by);

    /* ---- appended in 1.1 */

    /* Says where a lane comes from; kept beside its checkpoint for others who read the lease table.
     * [worker] Before the lane's first submit. */
    void (*lane_about)(kp_lane *, const kp_lane_about *);

    /* ---- appended in 1.2 */

    /* Of a source with grant(), its instance on worker 0 alone: all lanes that there are, one call
     * each, then lanes_offered(). Lanes that were not named since the last lanes_offered() are
     * gone. The host shares the lanes with other processes of the same application and calls
     * grant() on the worker that is to read one, once the lanes it came from (about->parents) have
     * ended. [worker] */
    void (*lane_offer)(kp_node *, const char *name, const kp_lane_about *);
    void (*lanes_offered)(kp_node *, const kp_offer *);
    /* Metrics of one lane: adds to a counter, sets a gauge. Names are [static]. [worker] */
    void (*lane_count)(kp_lane *, const char *name, int64_t by);
    void (*lane_gauge)(kp_lane *, const char *name, int64_t value);
    /* Exactly-once sinks: what is written up to `boundary` (of the lane's source: sequence and
     * sub-sequence number of the last record of an object) becomes the lane's pending checkpoint;
     * `fn` hears on this worker when that is durable (ok), or that the lane is not ours any more.
     * The checkpoint itself follows once the records are settled. [worker] */
    void (*lane_prepare)(kp_node *, kp_lane *, const kp_position *boundary,
                         void (*fn)(kp_node *, void *arg, bool ok), void *arg);
    /* The boundary that was prepared before this lane was granted, and not reached: objects that
     * were begun then end there. False: none. *ret is [borrowed until the lane is closed]. [worker]
     */
    bool (*lane_pending)(kp_lane *, kp_position *ret);
} kp_host;

/* ---- what a plugin describes
 * ----------------------------------------------------------------------- */

enum kp_flags {
    KP_BOUNDED = 1 << 0,    /* source: ends by itself and says so with ended() */
    KP_STREAM = 1 << 1,     /* source: endless, can catch up */
    KP_REQUEST = 1 << 2,    /* source: answers requests; never keeps --until end waiting */
    KP_SINGLETON = 1 << 3,  /* one instance for the whole process (first or last of a flow) */
    KP_CONCURRENT = 1 << 4, /* may be given the next batch of a lane before the last is done */
    KP_TAKES_FAILURES =
        1 << 5,            /* sink: as on_failure it wants kp_record.failure, not an envelope */
    KP_OWN_RETRY = 1 << 6, /* never marks KP_RETRY; settles by its own rules */
    KP_NONDETERMINISTIC = 1 << 7 /* refused in a flow with delivery = "exactly-once" */
};

typedef struct kp_element {
    uint32_t size;
    kp_kind kind;
    uint32_t flags;
    const char *name, *help;
    const kp_option *options;       /* ended by a row with name NULL */
    size_t config_size, state_size; /* the host allocates both, zeroed; state once per worker */
    /* Checks what rows cannot say; called by `kpipe check` too. [main] NULL: nothing to check.
     * Complains with kp->fail() and returns KP_FATAL. */
    kp_status (*validate)(kp_node *, const void *config);
    /* [worker] Before any record. May open connections and timers. NULL: nothing to do. */
    kp_status (*open)(kp_node *, const void *config, void *state);
    /* source, service, provisioner: begin to work. [worker] */
    kp_status (*start)(kp_node *, void *state);
    /* transform, sink: [worker] [consumes b]. May keep the batch and emit or be done later. */
    kp_status (*process)(kp_node *, void *state, kp_batch *b);
    /* transform, sink: emit what you hold as soon as you can. Comes at the end and whenever the
     * flow has gone quiet before an end. NULL: holds nothing. */
    void (*flush)(kp_node *, void *state);
    /* source: there is room again for this lane (or for all: lane NULL). */
    void (*wake)(kp_node *, void *state, kp_lane *lane, void *lane_state);
    /* source: all records of a submit with a token have ended; results[i] is of record i. */
    void (*settled)(kp_node *, void *state, void *token, const kp_result *results, uint32_t n);
    /* source (KP_STREAM): call kp->caught_up() once all that was written before this call has been
     * submitted. */
    void (*catch_up)(kp_node *, void *state);
    /* source, service: submit nothing more, cancel what is under way. Settling goes on. */
    void (*stop)(kp_node *, void *state);
    /* Last call; free what state holds. */
    void (*close)(kp_node *, void *state);
    /* ---- appended in 1.2; of a source that offers its lanes. [worker] */
    /* This lane is to be read here: lane_open() it, now. */
    void (*grant)(kp_node *, void *state, const kp_grant *);
    /* The lane is another's (is_lost), or will be once its records have ended: read no more of it
     * and lane_close() it. May come when it was closed already: `lane` is NULL then. */
    void (*revoke)(kp_node *, void *state, kp_lane *lane, void *lane_state, bool is_lost);
    /* Offer the lanes anew: one has ended, or the lease table lacks some. Instance of worker 0. */
    void (*offer)(kp_node *, void *state);
} kp_element;

typedef struct kp_plugin {
    uint32_t size;
    uint16_t abi_major, abi_minor;
    const char *name, *version, *license;
    const kp_element *const *elements; /* ended by NULL; pointers, so that elements may grow */
} kp_plugin;

/* The host's table, set before anything else of the plugin runs. */
extern const kp_host *kp __attribute__((visibility("hidden")));

#ifdef KP_STATIC /* -DKP_STATIC=redact: linked into a program; renames the one symbol */
#define KP_ENTRY__(name) kpipe_plugin_##name
#define KP_ENTRY_(name)  KP_ENTRY__(name)
#define KP_ENTRY         KP_ENTRY_(KP_STATIC)
#else
#define KP_ENTRY kpipe_plugin
#endif

#define KP_PLUGIN(plugin_name, plugin_version, plugin_license, ...)                                \
    const kp_host *kp;                                                                             \
    const kp_plugin *KP_ENTRY(const kp_host *);                                                    \
    __attribute__((visibility("default"))) const kp_plugin *KP_ENTRY(const kp_host *host)          \
    {                                                                                              \
        static const kp_element *const elements[] = {__VA_ARGS__, NULL};                           \
        static const kp_plugin me = {sizeof(kp_plugin), KP_ABI_MAJOR,   KP_ABI_MINOR, plugin_name, \
                                     plugin_version,    plugin_license, elements};                 \
        kp = host;                                                                                 \
        return &me;                                                                                \
    }

#endif
