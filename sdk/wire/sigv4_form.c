/* sigv4_form.c - the canonical request, the string to sign and the derived key.
 *
 * Headers and query parameters are sorted as pairs of slices in one reused array; a heap sort,
 * because qsort(3) allocates and a hostile query may have thousands of parameters.
 */
#include "sdk/wire/sigv4_form.h"

#include "sdk/wire/uri.h"

static struct sigv4_pair *pairs_of(const struct kpw_sigv4_cache *cache)
{
    return (struct sigv4_pair *)(void *)cache->pairs.ptr;
}

static size_t n_pairs(const struct kpw_sigv4_cache *cache)
{
    return cache->pairs.len / sizeof(struct sigv4_pair);
}

static void buf_again(struct kpw_buf *buf)
{
    if (buf->failed)
        kpw_buf_fini(buf);
    kpw_buf_clear(buf);
}

void sigv4_form_begin(struct kpw_sigv4_cache *cache)
{
    buf_again(&cache->canonical);
    buf_again(&cache->to_sign);
    buf_again(&cache->text);
    buf_again(&cache->pairs);
    buf_again(&cache->output);
}

static bool add_pair(struct kpw_sigv4_cache *cache, struct kpw_slice name, struct kpw_slice value)
{
    struct sigv4_pair pair = {name, value, n_pairs(cache)};

    kpw_buf_append(&cache->pairs, &pair, sizeof pair);
    return !cache->pairs.failed;
}

bool sigv4_form_add_header(struct kpw_sigv4_cache *cache, struct kpw_slice name,
                           struct kpw_slice value)
{
    return n_pairs(cache) < KPW_SIGV4_MAX_HEADERS && add_pair(cache, name, value);
}

/* ---- sorting */

typedef int compare_fn(const struct sigv4_pair *, const struct sigv4_pair *);

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static int compare_headers(const struct sigv4_pair *a, const struct sigv4_pair *b)
{
    for (size_t i = 0; i < a->name.len && i < b->name.len; i++) {
        uint8_t x = (uint8_t)lower(a->name.ptr[i]), y = (uint8_t)lower(b->name.ptr[i]);

        if (x != y)
            return x < y ? -1 : 1;
    }
    if (a->name.len != b->name.len)
        return a->name.len < b->name.len ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

static int compare_slices(struct kpw_slice a, struct kpw_slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int way = n ? memcmp(a.ptr, b.ptr, n) : 0;

    if (way)
        return way;
    return a.len < b.len ? -1 : a.len > b.len;
}

static int compare_parameters(const struct sigv4_pair *a, const struct sigv4_pair *b)
{
    int way = compare_slices(a->name, b->name);

    return way ? way : compare_slices(a->value, b->value);
}

static void sift_down(struct sigv4_pair *pairs, size_t at, size_t n, compare_fn *compare)
{
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        struct sigv4_pair held = pairs[at];

        if (child + 1 < n && compare(&pairs[child], &pairs[child + 1]) < 0)
            child++;
        if (compare(&held, &pairs[child]) >= 0)
            return;
        pairs[at] = pairs[child];
        pairs[child] = held;
    }
}

static void sort(struct sigv4_pair *pairs, size_t n, compare_fn *compare)
{
    for (size_t i = n / 2; i-- > 0;)
        sift_down(pairs, i, n, compare);
    for (size_t end = n; end-- > 1;) {
        struct sigv4_pair held = pairs[0];

        pairs[0] = pairs[end];
        pairs[end] = held;
        sift_down(pairs, 0, end, compare);
    }
}

void sigv4_form_sort_headers(struct kpw_sigv4_cache *cache)
{
    sort(pairs_of(cache), n_pairs(cache), compare_headers);
}

/* ---- the canonical request */

static void put_lower(struct kpw_buf *out, struct kpw_slice name)
{
    char *to = kpw_buf_reserve(out, name.len);

    if (!to)
        return;
    for (size_t i = 0; i < name.len; i++)
        to[i] = lower(name.ptr[i]);
    out->len += name.len;
}

static bool same_name(const struct sigv4_pair *a, const struct sigv4_pair *b)
{
    return a->name.len == b->name.len &&
           (!a->name.len || !strncasecmp(a->name.ptr, b->name.ptr, a->name.len));
}

void sigv4_form_put_names(const struct kpw_sigv4_cache *cache, struct kpw_buf *out)
{
    const struct sigv4_pair *pairs = pairs_of(cache);

    for (size_t i = 0; i < n_pairs(cache); i++) {
        if (i && same_name(&pairs[i - 1], &pairs[i]))
            continue;
        if (i)
            kpw_buf_putc(out, ';');
        put_lower(out, pairs[i].name);
    }
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Without blanks at the ends; runs inside, also those of folded lines, become one. */
static void put_value(struct kpw_buf *out, struct kpw_slice value)
{
    char *to = kpw_buf_reserve(out, value.len), *start = to;

    if (!to)
        return;
    for (size_t i = 0; i < value.len; i++) {
        if (!is_blank(value.ptr[i]))
            *to++ = value.ptr[i];
        else if (to > start && to[-1] != ' ')
            *to++ = ' ';
    }
    if (to > start && to[-1] == ' ')
        to--;
    out->len += (size_t)(to - start);
}

static void put_headers(const struct kpw_sigv4_cache *cache, size_t n, struct kpw_buf *out)
{
    const struct sigv4_pair *pairs = pairs_of(cache);

    for (size_t i = 0; i < n; i++) {
        if (i && same_name(&pairs[i - 1], &pairs[i])) {
            kpw_buf_putc(out, ',');
        } else {
            if (i)
                kpw_buf_putc(out, '\n');
            put_lower(out, pairs[i].name);
            kpw_buf_putc(out, ':');
        }
        put_value(out, pairs[i].value);
    }
    kpw_buf_putc(out, '\n');
}

/* Encodes once what may be encoded already, so that both ways of writing a byte give the same. A
 * slash that was written %2F stays one. False: a '%' without two hex digits. */
static bool put_encoded_once(struct kpw_buf *out, struct kpw_slice text, bool keep_slash)
{
    char *to, *start;

    if (text.len > SIZE_MAX / 8) {
        out->failed = true;
        return true;
    }
    if (!(start = to = kpw_buf_reserve(out, 3 * text.len)))
        return true;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool escaped = c == '%';
        size_t n;

        if (escaped) {
            if (text.len - i < 3 || !kpw_uri_decode(text.ptr + i, 3, false, &c, &n))
                return false;
            i += 2;
        }
        to += kpw_uri_encode(&c, 1, keep_slash && !escaped, to);
    }
    out->len += (size_t)(to - start);
    return true;
}

static bool put_path(struct kpw_sigv4_cache *cache, const struct sigv4_parts *parts)
{
    struct kpw_slice path = parts->path;

    if (!path.len)
        path = kpw_slice("/", 1);
    if (!(parts->flags & KPW_SIGV4_NO_NORMALIZE)) {
        kpw_buf_clear(&cache->text);
        kpw_path_normalize(path, &cache->text);
        if (cache->text.failed)
            return true;
        path = kpw_buf_slice(&cache->text);
    }
    if (parts->flags & KPW_SIGV4_SINGLE_ENCODE)
        return put_encoded_once(&cache->canonical, path, true);
    kpw_uri_put(&cache->canonical, path.ptr, path.len, true);
    return true;
}

static bool is_left_out(struct kpw_slice name, const struct sigv4_parts *parts)
{
    return kpw_slice_is(name, "X-Amz-Signature") ||
           (parts->skip_token && kpw_slice_is(name, "X-Amz-Security-Token"));
}

/* The encoded parameters go to the text, behind the headers into the pairs. */
static bool collect_parameters(struct kpw_sigv4_cache *cache, const struct sigv4_parts *parts)
{
    struct kpw_buf *text = &cache->text;
    struct kpw_query q;

    kpw_buf_clear(text);
    /* Room for the longest result, so that the text does not move under the slices. */
    if (parts->query.len > SIZE_MAX / 8 || !kpw_buf_reserve(text, 3 * parts->query.len)) {
        text->failed = true;
        return true;
    }
    kpw_query_init(&q, parts->query);
    while (kpw_query_next(&q)) {
        size_t at = text->len, middle;
        struct kpw_slice name;

        if (!put_encoded_once(text, q.name, false))
            return false;
        middle = text->len;
        if (!put_encoded_once(text, q.value, false))
            return false;
        name = kpw_slice(text->ptr + at, middle - at);
        if (is_left_out(name, parts))
            text->len = at;
        else if (!add_pair(cache, name, kpw_slice(text->ptr + middle, text->len - middle)))
            return true;
    }
    return true;
}

static bool put_query(struct kpw_sigv4_cache *cache, size_t n_headers,
                      const struct sigv4_parts *parts)
{
    struct kpw_buf *out = &cache->canonical;
    struct sigv4_pair *pairs;
    size_t n;

    if (!parts->query.len)
        return true;
    if (!collect_parameters(cache, parts))
        return false;
    if (cache->pairs.failed || cache->text.failed)
        return true;
    pairs = pairs_of(cache) + n_headers;
    n = n_pairs(cache) - n_headers;
    sort(pairs, n, compare_parameters);
    for (size_t i = 0; i < n; i++) {
        if (i)
            kpw_buf_putc(out, '&');
        kpw_buf_put_slice(out, pairs[i].name);
        kpw_buf_putc(out, '=');
        kpw_buf_put_slice(out, pairs[i].value);
    }
    cache->pairs.len = n_headers * sizeof *pairs;
    return true;
}

enum kpw_sigv4_reason sigv4_form_write(struct kpw_sigv4_cache *cache,
                                       const struct sigv4_parts *parts)
{
    struct kpw_buf *out = &cache->canonical;
    size_t n_headers = n_pairs(cache);

    kpw_buf_put_slice(out, parts->method);
    kpw_buf_putc(out, '\n');
    if (!put_path(cache, parts))
        return KPW_SIGV4_BAD_REQUEST;
    kpw_buf_putc(out, '\n');
    if (!put_query(cache, n_headers, parts))
        return KPW_SIGV4_BAD_REQUEST;
    kpw_buf_putc(out, '\n');
    put_headers(cache, n_headers, out);
    kpw_buf_putc(out, '\n');
    sigv4_form_put_names(cache, out);
    kpw_buf_putc(out, '\n');
    kpw_buf_put_slice(out, parts->payload);
    return out->failed || cache->text.failed || cache->pairs.failed ? KPW_SIGV4_NO_MEMORY
                                                                    : KPW_SIGV4_OK;
}

/* ---- the key and the signature */

static size_t put_at(char *at, struct kpw_slice part)
{
    if (part.len)
        memcpy(at, part.ptr, part.len);
    at[part.len] = '\n';
    return part.len + 1;
}

/* Compares with, or else writes, the name of the key: the four parts with line ends, none of which
 * can be in one of the last three. */
static bool key_is_there(const struct kpw_buf *name, const struct kpw_slice parts[4])
{
    size_t at = 0;

    for (int i = 0; i < 4; i++) {
        if (name->len - at <= parts[i].len ||
            !kpw_equal_ct(name->ptr + at, parts[i].ptr, parts[i].len) ||
            name->ptr[at + parts[i].len] != '\n')
            return false;
        at += parts[i].len + 1;
    }
    return at == name->len;
}

static void wipe_key(struct kpw_sigv4_cache *cache)
{
    kpw_wipe(&cache->key, sizeof cache->key);
    kpw_wipe(cache->key_name.ptr, cache->key_name.cap);
    kpw_buf_clear(&cache->key_name);
}

static bool derive_key(struct kpw_sigv4_cache *cache, const struct sigv4_scope *scope)
{
    const struct kpw_slice parts[4] = {scope->day, scope->region, scope->service, scope->secret};
    uint8_t key[KPW_SHA256_SIZE];
    struct kpw_buf *name = &cache->key_name;
    size_t need = 0;
    char *at;

    if (key_is_there(name, parts))
        return true;
    wipe_key(cache);
    for (int i = 0; i < 4; i++)
        need += parts[i].len + 1;
    if (name->cap <= need + 4)
        kpw_buf_fini(name); /* growing in place would leave a copy of the secret behind */
    /* "AWS4" and the secret first, as the first key; then overwritten by the name */
    if (!(at = kpw_buf_reserve(name, need + 4)))
        return false;
    memcpy(at, "AWS4", 4);
    if (scope->secret.len)
        memcpy(at + 4, scope->secret.ptr, scope->secret.len);
    kpw_hmac_sha256(at, scope->secret.len + 4, scope->day.ptr, scope->day.len, key);
    kpw_hmac_sha256(key, sizeof key, scope->region.ptr, scope->region.len, key);
    kpw_hmac_sha256(key, sizeof key, scope->service.ptr, scope->service.len, key);
    kpw_hmac_sha256(key, sizeof key, SIGV4_TERMINATOR, strlen(SIGV4_TERMINATOR), key);
    kpw_hmac_key_init(&cache->key, key, sizeof key);
    kpw_wipe(key, sizeof key);
    for (int i = 0; i < 4; i++)
        at += put_at(at, parts[i]);
    name->len = need;
    return true;
}

void sigv4_put_scope(const struct sigv4_scope *scope, struct kpw_buf *out)
{
    kpw_buf_put_slice(out, scope->day);
    kpw_buf_putc(out, '/');
    kpw_buf_put_slice(out, scope->region);
    kpw_buf_putc(out, '/');
    kpw_buf_put_slice(out, scope->service);
    kpw_buf_puts(out, "/" SIGV4_TERMINATOR);
}

enum kpw_sigv4_reason sigv4_form_sign(struct kpw_sigv4_cache *cache,
                                      const struct sigv4_scope *scope, char out[KPW_SIGV4_HEX])
{
    struct kpw_buf *to_sign = &cache->to_sign;
    uint8_t digest[KPW_SHA256_SIZE];
    char *hex;

    kpw_buf_puts(to_sign, SIGV4_ALGORITHM "\n");
    kpw_buf_puts(to_sign, scope->date);
    kpw_buf_putc(to_sign, '\n');
    sigv4_put_scope(scope, to_sign);
    kpw_buf_putc(to_sign, '\n');
    kpw_sha256(cache->canonical.ptr, cache->canonical.len, digest);
    if ((hex = kpw_buf_reserve(to_sign, KPW_SHA256_HEX)))
        to_sign->len += kpw_hex(digest, sizeof digest, hex);
    if (to_sign->failed || !derive_key(cache, scope))
        return KPW_SIGV4_NO_MEMORY;
    kpw_hmac_sign(&cache->key, to_sign->ptr, to_sign->len, digest);
    out[kpw_hex(digest, sizeof digest, out)] = '\0';
    return KPW_SIGV4_OK;
}
