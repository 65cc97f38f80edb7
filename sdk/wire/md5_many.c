/* md5_many.c - MD5 of many texts side by side: lane i of a vector belongs to text i.
 *
 * MD5 is a chain of 64 dependent steps a block, so one text leaves most of the processor idle.
 * Eight texts at once cost little more than one: the eight-lane step is compiled for AVX2 and for
 * the baseline (there as two vectors of four) and chosen at run time. Texts are of any length; a
 * lane whose text has ended takes the next one.
 *
 * Source: RFC 1321.
 */
#include "sdk/wire/hash.h"

#define LANES     8
#define BLOCK     64
#define FEW       3 /* fewer texts than that are hashed one by one */
#define PAD_BYTES (2 * BLOCK)

typedef uint32_t lanes __attribute__((vector_size(LANES * sizeof(uint32_t))));

/* The text of a lane: whole blocks where they lie, then its end, padded. */
struct source {
    const uint8_t *at;
    size_t blocks;     /* whole ones left */
    size_t pad_blocks; /* then these */
    uint8_t (*out)[KPW_MD5_SIZE];
    uint8_t pad[PAD_BYTES];
};

struct state {
    lanes a, b, c, d;
};

#define ROTATE(x, n) ((x) << (n) | (x) >> (32 - (n)))
#define F(b, c, d)   ((d) ^ ((b) & ((c) ^ (d))))
#define G(b, c, d)   ((c) ^ ((d) & ((b) ^ (c))))
#define H(b, c, d)   ((b) ^ (c) ^ (d))
#define I(b, c, d)   ((c) ^ ((b) | ~(d)))

#define STEP(f, a, b, c, d, k, s, t) \
    do {                             \
        a += f(b, c, d) + w[k] + t;  \
        a = ROTATE(a, s) + b;        \
    } while (0)
/* Four steps, whose words are `by` apart. */
#define STEPS(f, k, by, s1, s2, s3, s4, t1, t2, t3, t4)     \
    do {                                                    \
        STEP(f, a, b, c, d, (k) % 16, s1, t1);              \
        STEP(f, d, a, b, c, ((k) + (by)) % 16, s2, t2);     \
        STEP(f, c, d, a, b, ((k) + 2 * (by)) % 16, s3, t3); \
        STEP(f, b, c, d, a, ((k) + 3 * (by)) % 16, s4, t4); \
    } while (0)

static inline __attribute__((always_inline)) uint32_t load(const uint8_t *at)
{
    uint32_t word;

    memcpy(&word, at, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap32(word);
#endif
    return word;
}

static inline __attribute__((always_inline)) void rounds_1_2(lanes *restrict v, const lanes *w)
{
    lanes a = v[0], b = v[1], c = v[2], d = v[3];

    STEPS(F, 0, 1, 7, 12, 17, 22, 0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee);
    STEPS(F, 4, 1, 7, 12, 17, 22, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501);
    STEPS(F, 8, 1, 7, 12, 17, 22, 0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be);
    STEPS(F, 12, 1, 7, 12, 17, 22, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821);
    STEPS(G, 1, 5, 5, 9, 14, 20, 0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa);
    STEPS(G, 5, 5, 5, 9, 14, 20, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8);
    STEPS(G, 9, 5, 5, 9, 14, 20, 0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed);
    STEPS(G, 13, 5, 5, 9, 14, 20, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a);
    v[0] = a, v[1] = b, v[2] = c, v[3] = d;
}

static inline __attribute__((always_inline)) void rounds_3_4(lanes *restrict v, const lanes *w)
{
    lanes a = v[0], b = v[1], c = v[2], d = v[3];

    STEPS(H, 5, 3, 4, 11, 16, 23, 0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c);
    STEPS(H, 1, 3, 4, 11, 16, 23, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70);
    STEPS(H, 13, 3, 4, 11, 16, 23, 0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05);
    STEPS(H, 9, 3, 4, 11, 16, 23, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665);
    STEPS(I, 0, 7, 6, 10, 15, 21, 0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039);
    STEPS(I, 12, 7, 6, 10, 15, 21, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1);
    STEPS(I, 8, 7, 6, 10, 15, 21, 0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1);
    STEPS(I, 4, 7, 6, 10, 15, 21, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391);
    v[0] = a, v[1] = b, v[2] = c, v[3] = d;
}

#define WORD(i) load(at[i] + 4 * k)

/* n blocks of each lane, from where at[] points; the pointers move on. */
static inline __attribute__((always_inline)) void step_blocks(struct state *restrict state,
                                                              const uint8_t *at[LANES], size_t n)
{
    lanes s[4] = {state->a, state->b, state->c, state->d};

    while (n--) {
        lanes w[16], v[4] = {s[0], s[1], s[2], s[3]};

        for (int k = 0; k < 16; k++)
            w[k] = (lanes){WORD(0), WORD(1), WORD(2), WORD(3), WORD(4), WORD(5), WORD(6), WORD(7)};
        rounds_1_2(v, w);
        rounds_3_4(v, w);
        for (int i = 0; i < 4; i++)
            s[i] += v[i];
        for (int i = 0; i < LANES; i++)
            at[i] += BLOCK;
    }
    *state = (struct state){s[0], s[1], s[2], s[3]};
}

static void blocks_plain(struct state *state, const uint8_t *at[LANES], size_t n)
{
    step_blocks(state, at, n);
}

#if defined __x86_64__ && !defined KPW_MD5_PLAIN
__attribute__((target("avx2"))) static void blocks_avx2(struct state *state,
                                                        const uint8_t *at[LANES], size_t n)
{
    step_blocks(state, at, n);
}
#endif

typedef void (*blocks_fn)(struct state *, const uint8_t *[LANES], size_t);

static blocks_fn choose(void)
{
#if defined __x86_64__ && !defined KPW_MD5_PLAIN
    if (__builtin_cpu_supports("avx2"))
        return blocks_avx2;
#endif
    return blocks_plain;
}

/* ---- texts and lanes */

/* Little-endian. */
static inline void put(uint8_t *out, uint32_t word)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap32(word);
#endif
    memcpy(out, &word, sizeof word);
}

static void begin(struct source *source, struct kpw_slice text, uint8_t (*out)[KPW_MD5_SIZE])
{
    size_t whole = text.len / BLOCK, rest = text.len % BLOCK;
    uint64_t bits = (uint64_t)text.len * 8;

    source->at = (const uint8_t *)text.ptr;
    source->blocks = whole;
    source->pad_blocks = rest < BLOCK - 8 ? 1 : 2;
    source->out = out;
    memset(source->pad, 0, source->pad_blocks * BLOCK);
    if (rest)
        memcpy(source->pad, text.ptr + whole * BLOCK, rest);
    source->pad[rest] = 0x80;
    put(source->pad + source->pad_blocks * BLOCK - 8, (uint32_t)bits);
    put(source->pad + source->pad_blocks * BLOCK - 4, (uint32_t)(bits >> 32));
    if (!whole) {
        source->at = source->pad;
        source->blocks = source->pad_blocks;
        source->pad_blocks = 0;
    }
}

static void start_lane(struct state *state, int i)
{
    state->a[i] = 0x67452301;
    state->b[i] = 0xefcdab89;
    state->c[i] = 0x98badcfe;
    state->d[i] = 0x10325476;
}

static void finish_lane(const struct state *state, int i, uint8_t *out)
{
    put(out, state->a[i]);
    put(out + 4, state->b[i]);
    put(out + 8, state->c[i]);
    put(out + 12, state->d[i]);
}

struct many {
    struct state state;
    struct source sources[LANES];
    const struct kpw_slice *texts; /* what was not begun yet */
    uint8_t (*out)[KPW_MD5_SIZE];
    size_t n;
    unsigned busy; /* lanes */
};

/* A lane whose blocks have ended goes on with its end, then with the next text. */
static void refill(struct many *many, int i)
{
    struct source *source = &many->sources[i];

    if (source->blocks)
        return;
    if (source->pad_blocks) {
        source->at = source->pad;
        source->blocks = source->pad_blocks;
        source->pad_blocks = 0;
        return;
    }
    if (source->out) {
        finish_lane(&many->state, i, *source->out);
        source->out = NULL;
        many->busy--;
    }
    if (!many->n)
        return;
    begin(source, *many->texts++, many->out++);
    start_lane(&many->state, i);
    many->n--;
    many->busy++;
}

void kpw_md5_many(const struct kpw_slice *texts, size_t n, uint8_t (*out)[KPW_MD5_SIZE])
{
    struct many many = {.texts = texts, .out = out, .n = n};
    blocks_fn blocks = choose();

    if (n < FEW) {
        for (size_t i = 0; i < n; i++)
            kpw_md5(texts[i].ptr, texts[i].len, out[i]);
        return;
    }
    while (many.n || many.busy) {
        const uint8_t *at[LANES], *any = NULL;
        size_t most = SIZE_MAX;

        for (int i = 0; i < LANES; i++) {
            refill(&many, i);
            if (!many.sources[i].out)
                continue;
            any = many.sources[i].at;
            most = many.sources[i].blocks < most ? many.sources[i].blocks : most;
        }
        if (!any)
            break;
        for (int i = 0; i < LANES; i++) /* an idle lane computes what nobody reads */
            at[i] = many.sources[i].out ? many.sources[i].at : any;
        blocks(&many.state, at, most);
        for (int i = 0; i < LANES; i++) {
            if (!many.sources[i].out)
                continue;
            many.sources[i].at = at[i];
            many.sources[i].blocks -= most;
        }
    }
}
