/* test_keymap.c -- group ids against a naive table of who owns which, over universes of keys.
 *
 * A universe numbers its keys 0, 1, ... and says how key n looks; the last number may be its null.
 * The model knows the gid of every live key, so any confusion of two keys shows at once.
 */
#include "state/keymap.h"

#include <math.h>

#include "account.h"
#include "random.h"

#define KEYS_MAX 60000
#define COLUMNS_MAX 3

typedef struct cell {
    bool null;
    uint64_t word;  /* bits of a number, bool or double */
    ps_string text; /* room of its own in the universe */
} cell;

typedef struct universe {
    const char *name;
    int32_t columns;
    ps_type_id types[COLUMNS_MAX];
    int64_t keys;
    /* variant: another spelling of the same key */
    void (*spell)(int64_t key, int32_t column, int variant, char *room, cell *out);
} universe;

/* ---- universes ---- */

static void compact(int64_t key, int32_t column, int variant, char *room, cell *out)
{
    (void)column, (void)variant, (void)room;
    out->word = (uint64_t)(key + 1000);
}

static void downwards(int64_t key, int32_t column, int variant, char *room, cell *out)
{
    (void)column, (void)variant, (void)room;
    out->word = (uint64_t)(-key * 3);
}

static void sparse(int64_t key, int32_t column, int variant, char *room, cell *out)
{
    (void)column, (void)variant, (void)room;
    out->word = ps_hash_u64((uint64_t)key);
    out->null = key == 17;
}

static void least(int64_t key, int32_t column, int variant, char *room, cell *out)
{
    (void)column, (void)variant, (void)room;
    out->word = (uint64_t)INT64_MIN + (uint64_t)key * 7;
}

static void greatest(int64_t key, int32_t column, int variant, char *room, cell *out)
{
    (void)column, (void)variant, (void)room;
    out->word = (uint64_t)INT64_MAX - (uint64_t)key * 7;
    out->null = key == 0;
}

static void both_ends(int64_t key, int32_t column, int variant, char *room, cell *out)
{
    (key % 2 == 0 ? least : greatest)(key, column, variant, room, out);
}

/* Compact until the keys of the upper half arrive. */
static void leaving(int64_t key, int32_t column, int variant, char *room, cell *out)
{
    (key < KEYS_MAX / 2 ? compact : sparse)(key, column, variant, room, out);
}

/* Every 40th number: allowed while the span is small, too thin later. */
static void thin(int64_t key, int32_t column, int variant, char *room, cell *out)
{
    (void)column, (void)variant, (void)room;
    out->word = (uint64_t)((key - 3000) * 400);
}

static void tiny(int64_t key, int32_t column, int variant, char *room, cell *out)
{
    (void)column, (void)variant, (void)room;
    out->word = (uint64_t)(key & 1);
    out->null = key == 2;
}

static void floats(int64_t key, int32_t column, int variant, char *room, cell *out)
{
    (void)column, (void)room;
    static const double NOTABLE[] = {NAN, 0.0, INFINITY, -INFINITY, 5e-324};
    const double value = key < 5 ? NOTABLE[key] : (double)key / 7.0;
    memcpy(&out->word, &value, sizeof value);
    if (key == 0 && variant > 0) {
        out->word = UINT64_C(0xfff0000000000001) + (uint64_t)variant; /* another NaN */
    }
    if (key == 1 && variant % 2 == 1) {
        out->word = (uint64_t)INT64_MIN; /* -0.0 */
    }
    out->null = key == 5;
}

/* Empty, long, prefixes of each other, differing in the last byte only, with zero bytes. */
static void texts(int64_t key, int32_t column, int variant, char *room, cell *out)
{
    (void)column, (void)variant;
    int64_t size = 0;
    if (key % 3 == 0) {
        size = key / 3 % 300;
        memset(room, 'a', (size_t)size);
        if (key != 0) {
            size += snprintf(room + size, 24, "%" PRId64, key);
        }
    } else {
        size = snprintf(room, 40, "user-%" PRId64 "-name", key / 2);
        room[size++] = key % 2 == 0 ? '\0' : 'x';
    }
    out->text = (ps_string){.data = room, .size_bytes = size};
    out->null = key == 4;
}

/* ("a", "bc") and ("ab", "c"), nulls in each position, equal numbers beside different texts. */
static void pairs(int64_t key, int32_t column, int variant, char *room, cell *out)
{
    (void)variant;
    const int64_t cut = key % 12, rest = key / 12;
    static const char LETTERS[] = "abcdefghij";
    if (column == 1) {
        out->word = (uint64_t)rest;
        out->null = rest == 3;
        return;
    }
    if (cut > 10) {
        out->null = true;
        return;
    }
    const char *from = column == 0 ? LETTERS : LETTERS + cut;
    const size_t size = (size_t)(column == 0 ? cut : 10 - cut);
    memcpy(room, from, size);
    out->text = (ps_string){.data = room, .size_bytes = (int64_t)size};
}

/* bool, double and word together. */
static void mixed(int64_t key, int32_t column, int variant, char *room, cell *out)
{
    if (column == 0) {
        out->word = (uint64_t)(key & 1);
        out->null = key % 6 > 3; /* 4 and 5 share null here, and differ in column 2 */
    } else if (column == 1) {
        floats(key / 6 % 50, column, variant, room, out);
    } else {
        out->word = (uint64_t)(key / 300 * 2 + (key % 6 / 2 == 1) * 1000000 + (key % 6 == 5));
    }
}

static const universe UNIVERSES[] = {
    {"compact", 1, {PS_TYPE_INT64}, KEYS_MAX, compact},
    {"compact int32", 1, {PS_TYPE_INT32}, 3000, compact},
    {"downwards", 1, {PS_TYPE_INT64}, KEYS_MAX, downwards},
    {"sparse", 1, {PS_TYPE_INT64}, KEYS_MAX, sparse},
    {"sparse uint64", 1, {PS_TYPE_UINT64}, KEYS_MAX, sparse},
    {"least", 1, {PS_TYPE_INT64}, KEYS_MAX, least},
    {"greatest", 1, {PS_TYPE_TIMESTAMP}, KEYS_MAX, greatest},
    {"both ends", 1, {PS_TYPE_INT64}, KEYS_MAX, both_ends},
    {"leaving the direct table", 1, {PS_TYPE_INT64}, KEYS_MAX, leaving},
    {"thin", 1, {PS_TYPE_INT64}, KEYS_MAX, thin},
    {"bool", 1, {PS_TYPE_BOOL}, 3, tiny},
    {"floats", 1, {PS_TYPE_FLOAT64}, 20000, floats},
    {"texts", 1, {PS_TYPE_UTF8}, 20000, texts},
    {"pairs", 3, {PS_TYPE_UTF8, PS_TYPE_INT64, PS_TYPE_BINARY}, 6000, pairs},
    {"mixed", 3, {PS_TYPE_BOOL, PS_TYPE_FLOAT64, PS_TYPE_UINT32}, 9000, mixed},
};
#define UNIVERSE_COUNT (sizeof UNIVERSES / sizeof UNIVERSES[0])

/* ---- vectors of keys ---- */

typedef struct spelled {
    char texts[COLUMNS_MAX][PS_CHUNK_ROWS][360];
    ps_string strings[COLUMNS_MAX][PS_CHUNK_ROWS];
    uint64_t words[COLUMNS_MAX][PS_CHUNK_ROWS];
    uint8_t bools[COLUMNS_MAX][PS_CHUNK_ROWS];
    uint8_t valid[COLUMNS_MAX][PS_CHUNK_ROWS];
    ps_vector vectors[COLUMNS_MAX];
} spelled;

static ps_class class_of(const universe *u, int32_t column)
{
    const ps_type type = {.id = (uint8_t)u->types[column], .width = 8};
    return ps_type_class(&type);
}

static void spell_rows(const universe *u, const int64_t *keys, int64_t count, int variant,
                       spelled *s)
{
    for (int32_t c = 0; c < u->columns; c++) {
        bool nulls = false;
        for (int64_t i = 0; i < count; i++) {
            cell value = {.null = false};
            u->spell(keys[i], c, (variant + (int)i) % 3, s->texts[c][i], &value);
            s->strings[c][i] = value.null ? (ps_string){0} : value.text;
            s->words[c][i] = value.null ? (uint64_t)i * 77 : value.word; /* rubbish under a null */
            s->bools[c][i] = value.null ? (uint8_t)(i & 1) : (uint8_t)value.word;
            s->valid[c][i] = !value.null;
            nulls |= value.null;
        }
        const ps_class kind = class_of(u, c);
        s->vectors[c] = (ps_vector){.kind = kind,
                                    .values = kind == PS_CLASS_STR    ? (void *)s->strings[c]
                                              : kind == PS_CLASS_BOOL ? (void *)s->bools[c]
                                                                      : (void *)s->words[c],
                                    .valid = nulls ? s->valid[c] : NULL};
    }
}

/* Row i of a loaded vector is key `key` of the universe, in its first spelling. */
static void check_cell(const universe *u, int64_t key, int32_t column, const ps_vector *got,
                       int64_t i)
{
    char room[360];
    cell want = {.null = false};
    u->spell(key, column, 0, room, &want);
    const bool null = got->valid != NULL && got->valid[i] == 0;
    CHECK_EQ(null, want.null);
    if (want.null) {
        return;
    }
    if (got->kind == PS_CLASS_STR) {
        const ps_string text = ((const ps_string *)got->values)[i];
        CHECK_EQ(text.size_bytes, want.text.size_bytes);
        CHECK(text.size_bytes == 0 ||
              memcmp(text.data, want.text.data, (size_t)text.size_bytes) == 0);
    } else if (got->kind == PS_CLASS_BOOL) {
        CHECK_EQ(((const uint8_t *)got->values)[i], want.word);
    } else if (got->kind == PS_CLASS_F64) {
        double a, b;
        memcpy(&a, &((const uint64_t *)got->values)[i], sizeof a);
        memcpy(&b, &want.word, sizeof b);
        CHECK(a == b || (a != a && b != b));
    } else {
        CHECK(((const uint64_t *)got->values)[i] == want.word);
    }
}

/* ---- the model ---- */

typedef struct model {
    const universe *u;
    ps_mem *mem;
    ps_keymap *map;
    int64_t gid[KEYS_MAX];   /* of a key, -1 = not live */
    int64_t owner[KEYS_MAX]; /* of a gid, -1 = free */
    int64_t live, peak;
    spelled rows;
    ps_vector_scratch scratch;
} model;

static model *model_create(const universe *u)
{
    model *m = calloc(1, sizeof *m);
    ps_type types[COLUMNS_MAX];
    CHECK(m != NULL);
    m->u = u;
    CHECK_OK(ps_mem_create(0, &m->mem, NULL));
    for (int32_t c = 0; c < u->columns; c++) {
        types[c] = (ps_type){.id = (uint8_t)u->types[c], .width = 8};
    }
    CHECK_OK(ps_keymap_create(m->mem, types, u->columns, &m->map, NULL));
    memset(m->gid, -1, sizeof m->gid);
    memset(m->owner, -1, sizeof m->owner);
    return m;
}

static void model_destroy(model *m)
{
    ps_keymap_destroy(m->map);
    CHECK_EQ(ps_mem_used(m->mem), 0);
    ps_mem_release(m->mem);
    free(m);
}

static void model_note(model *m, const int64_t *keys, const uint32_t *gids, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        const int64_t gid = gids[i];
        if (m->gid[keys[i]] >= 0) {
            CHECK_EQ(gid, m->gid[keys[i]]);
            continue;
        }
        CHECK(gid < ps_keymap_capacity(m->map));
        CHECK_EQ(m->owner[gid], -1);
        m->owner[gid] = keys[i];
        m->gid[keys[i]] = gid;
        m->live++;
        m->peak = ps_max_i64(m->peak, m->live);
    }
    CHECK_EQ(ps_keymap_live(m->map), m->live);
    CHECK_EQ(ps_keymap_capacity(m->map), m->peak); /* dense: freed ids come first */
}

static void model_intern(model *m, const int64_t *keys, int64_t count, int variant)
{
    uint32_t gids[PS_CHUNK_ROWS];
    spell_rows(m->u, keys, count, variant, &m->rows);
    CHECK_OK(ps_keymap_intern(m->map, m->rows.vectors, count, gids, NULL));
    model_note(m, keys, gids, count);
}

/* Every live key comes back as it is. */
static void model_check_loads(model *m)
{
    uint32_t gids[PS_CHUNK_ROWS];
    int64_t count = 0;
    for (int64_t gid = 0; gid <= m->peak; gid++) {
        if (gid < m->peak && m->owner[gid] >= 0) {
            gids[count++] = (uint32_t)gid;
        }
        if (count == PS_CHUNK_ROWS || (gid == m->peak && count > 0)) {
            int64_t bytes = 0;
            for (int32_t c = 0; c < m->u->columns; c++) {
                ps_vector vector;
                ps_keymap_load(m->map, gids, count, c, &m->scratch, &vector);
                CHECK_EQ(vector.kind, class_of(m->u, c));
                for (int64_t i = 0; i < count; i++) {
                    check_cell(m->u, m->owner[gids[i]], c, &vector, i);
                    bytes += vector.kind == PS_CLASS_STR &&
                                     (vector.valid == NULL || vector.valid[i] != 0)
                                 ? ((const ps_string *)vector.values)[i].size_bytes
                                 : 0;
                }
            }
            const int64_t bound = ps_keymap_text_bytes(m->map, gids, count);
            CHECK(bound >= bytes && bound <= bytes + 9 * m->u->columns * count);
            count = 0;
        }
    }
}

/* Forgets the keys whose live[gid] is 0. */
static void sweep(ps_keymap *map, const uint8_t *live)
{
    for (int64_t at = 0; at < ps_keymap_capacity(map); at += PS_CHUNK_ITEMS) {
        ps_keymap_forget(map, at / PS_CHUNK_ITEMS, live + at);
    }
    ps_keymap_end_sweep(map);
    ps_keymap_compact(map, INT64_MAX);
}

/* Keeps a key with a chance of `keep` in ten. */
static void model_sweep(model *m, rng *random, int64_t keep)
{
    static uint8_t live[KEYS_MAX];
    for (int64_t gid = 0; gid < m->peak; gid++) {
        const int64_t key = m->owner[gid];
        live[gid] = key >= 0 && rng_below(random, 10) < keep;
        if (key >= 0 && !live[gid]) {
            m->gid[key] = m->owner[gid] = -1;
            m->live--;
        }
    }
    sweep(m->map, live);
    CHECK_EQ(ps_keymap_live(m->map), m->live);
}

static void intern_random(model *m, rng *random, int64_t rows)
{
    int64_t keys[PS_CHUNK_ROWS];
    const int64_t count = rng_between(random, 1, PS_CHUNK_ROWS);
    for (int64_t at = 0; at < rows; at += count) {
        for (int64_t i = 0; i < count; i++) {
            keys[i] = rng_below(random, m->u->keys);
        }
        model_intern(m, keys, count, (int)(at % 3));
    }
}

static void ids_are_dense_and_keys_come_back(void)
{
    for (size_t k = 0; k < UNIVERSE_COUNT; k++) {
        const universe *u = &UNIVERSES[k];
        model *m = model_create(u);
        int64_t keys[PS_CHUNK_ROWS];
        for (int variant = 0; variant < 3; variant++) {
            for (int64_t at = 0; at < u->keys;) {
                int64_t count = 0;
                while (count < PS_CHUNK_ROWS && at < u->keys) {
                    keys[count++] = at++;
                }
                model_intern(m, keys, count, variant);
            }
        }
        CHECK_EQ(ps_keymap_capacity(m->map), u->keys);
        model_check_loads(m);
        CHECK(ps_keymap_bytes(m->map) <= ps_mem_used(m->mem));
        model_destroy(m);
    }
}

static void sweeps_forget_the_dead_and_reuse_their_ids(void)
{
    static const int64_t KEEP[] = {5, 0, 9, 1, 10, 3, 0, 7};
    for (size_t k = 0; k < UNIVERSE_COUNT; k++) {
        model *m = model_create(&UNIVERSES[k]);
        rng random = {k * 1000};
        for (size_t round = 0; round < sizeof KEEP / sizeof KEEP[0]; round++) {
            intern_random(m, &random, 6000);
            model_sweep(m, &random, KEEP[round]);
            model_check_loads(m);
            intern_random(m, &random, 500);
            model_check_loads(m);
        }
        model_sweep(m, &random, 0);
        CHECK_EQ(m->live, 0);
        intern_random(m, &random, 3000);
        model_check_loads(m);
        model_destroy(m);
    }
}

/* Rows come between the chunks of a sweep, and between those of moving bytes together. */
static void keys_come_while_others_are_forgotten(void)
{
    static uint8_t live[KEYS_MAX];
    for (size_t k = 0; k < UNIVERSE_COUNT; k++) {
        model *m = model_create(&UNIVERSES[k]);
        rng random = {k + 77};
        for (int64_t round = 0; round < 3; round++) {
            intern_random(m, &random, 20000);
            const int64_t end = ps_keymap_capacity(m->map);
            for (int64_t at = 0; at < end; at += PS_CHUNK_ITEMS) {
                for (int64_t i = 0; i < PS_CHUNK_ITEMS && at + i < m->peak; i++) {
                    const int64_t key = m->owner[at + i];
                    live[i] = key >= 0 && rng_below(&random, 4) == 0;
                    if (key >= 0 && !live[i]) {
                        m->gid[key] = m->owner[at + i] = -1;
                        m->live--;
                    }
                }
                ps_keymap_forget(m->map, at / PS_CHUNK_ITEMS, live);
                intern_random(m, &random, 300);
            }
            ps_keymap_end_sweep(m->map);
            for (int64_t at = 0; at < end; at += PS_CHUNK_ITEMS) {
                ps_keymap_compact(m->map, 1);
                intern_random(m, &random, 300);
            }
            model_check_loads(m);
        }
        model_destroy(m);
    }
}

static void a_cleared_map_begins_again(void)
{
    for (size_t k = 0; k < UNIVERSE_COUNT; k++) {
        model *m = model_create(&UNIVERSES[k]);
        rng random = {k + 5};
        for (int round = 0; round < 3; round++) {
            intern_random(m, &random, 9000);
            model_check_loads(m);
            ps_keymap_clear(m->map);
            CHECK_EQ(ps_keymap_live(m->map), 0);
            CHECK_EQ(ps_keymap_capacity(m->map), 0);
            memset(m->gid, -1, sizeof m->gid);
            memset(m->owner, -1, sizeof m->owner);
            m->live = m->peak = 0;
        }
        model_destroy(m);
    }
}

/* Memory of the bytes of dead keys is given back. */
static void swept_bytes_are_given_back(void)
{
    model *m = model_create(&UNIVERSES[12]);
    rng random = {5};
    intern_random(m, &random, 60000);
    const int64_t full = ps_mem_used(m->mem);
    model_sweep(m, &random, 1);
    CHECK(ps_mem_used(m->mem) < full * 2 / 3);
    model_destroy(m);
}

/* Two million keys that no table could index directly: many segments, each split from another. */
static void millions_of_sparse_keys(void)
{
    enum { KEYS = 2000000 };
    ps_mem *mem = make_account();
    ps_keymap *map = NULL;
    const ps_type type = {.id = PS_TYPE_INT64, .width = 8};
    uint64_t words[PS_CHUNK_ROWS];
    uint32_t gids[PS_CHUNK_ROWS];
    const ps_vector vector = {.kind = PS_CLASS_I64, .values = words};
    CHECK_OK(ps_keymap_create(mem, &type, 1, &map, NULL));
    for (int round = 0; round < 2; round++) {
        for (int64_t at = 0; at < KEYS; at += 1000) {
            for (int64_t i = 0; i < 1000; i++) {
                words[i] = ps_hash_u64((uint64_t)(at + i));
            }
            CHECK_OK(ps_keymap_intern(map, &vector, 1000, gids, NULL));
            for (int64_t i = 0; i < 1000; i++) {
                CHECK_EQ(gids[i], at + i);
            }
        }
    }
    CHECK_EQ(ps_keymap_live(map), KEYS);
    CHECK(ps_keymap_bytes(map) < (int64_t)KEYS * 28); /* 8 of key, up to 16 of index and slack */
    ps_keymap_destroy(map);
    settle(mem);
}

/* Compact keys of which only the newest stay: the direct table shrinks to them. */
static void a_table_of_forgotten_keys_is_narrowed(void)
{
    enum { KEYS = 1 << 23, CUT = PS_CHUNK_ROWS };
    static const uint8_t dead[PS_CHUNK_ITEMS];
    ps_mem *mem = make_account();
    ps_keymap *map = NULL;
    const ps_type type = {.id = PS_TYPE_INT64, .width = 8};
    uint64_t words[CUT];
    uint32_t gids[CUT], again[CUT];
    const ps_vector vector = {.kind = PS_CLASS_I64, .values = words};
    CHECK_OK(ps_keymap_create(mem, &type, 1, &map, NULL));
    for (int64_t at = 0; at < KEYS; at += CUT) {
        for (int64_t i = 0; i < CUT; i++) {
            words[i] = (uint64_t)(at + i);
        }
        CHECK_OK(ps_keymap_intern(map, &vector, CUT, gids, NULL));
    }
    const int64_t full = ps_keymap_bytes(map);
    for (int64_t chunk = 0; chunk < KEYS / PS_CHUNK_ITEMS - 1; chunk++) {
        ps_keymap_forget(map, chunk, dead);
    }
    ps_keymap_end_sweep(map);
    CHECK(ps_keymap_bytes(map) <= full - (int64_t)sizeof(uint32_t) * (KEYS - (1 << 13)));
    CHECK_OK(ps_keymap_intern(map, &vector, CUT, again, NULL));
    CHECK(memcmp(gids, again, sizeof gids) == 0);
    CHECK_EQ(ps_keymap_live(map), PS_CHUNK_ITEMS);
    ps_keymap_destroy(map);
    settle(mem);
}

static void compact_keys_cost_twelve_bytes(void)
{
    model *m = model_create(&UNIVERSES[0]);
    int64_t keys[PS_CHUNK_ROWS];
    for (int64_t at = 0; at + PS_CHUNK_ROWS <= KEYS_MAX; at += PS_CHUNK_ROWS) {
        for (int64_t i = 0; i < PS_CHUNK_ROWS; i++) {
            keys[i] = at + i;
        }
        model_intern(m, keys, PS_CHUNK_ROWS, 0);
    }
    CHECK(ps_keymap_bytes(m->map) < 8 * (m->live + 4096) + 4 * 65536 + 4096);
    model_destroy(m);
}

/* The map is asked again after each refusal and must still know what it knew. */
static void refusals_lose_nothing(void)
{
    for (size_t k = 0; k < UNIVERSE_COUNT; k++) {
        const universe *u = &UNIVERSES[k];
        bool refused = true;
        for (int64_t n = 1; refused; n++) {
            model *m = model_create(u);
            int64_t keys[PS_CHUNK_ROWS];
            uint32_t gids[PS_CHUNK_ROWS];
            refused = false;
            ps_mem_fail_at(m->mem, n);
            for (int64_t at = 0; at < ps_min_i64(u->keys, 9000); at += 600) {
                for (int64_t i = 0; i < 600; i++) {
                    keys[i] = (at + i) * 7 % u->keys;
                }
                spell_rows(u, keys, 600, 0, &m->rows);
                ps_error err = {0};
                if (ps_keymap_intern(m->map, m->rows.vectors, 600, gids, &err) != PS_OK) {
                    CHECK_EQ(err.status, PS_NO_MEMORY);
                    refused = true;
                    CHECK_OK(ps_keymap_intern(m->map, m->rows.vectors, 600, gids, NULL));
                }
                model_note(m, keys, gids, 600);
            }
            model_check_loads(m);
            CHECK(refused || n > 1);
            model_destroy(m);
        }
    }
}

/* Bytes of keys that cannot be moved stay where they are, and no key is lost. */
static void refused_sweeps_keep_the_living(void)
{
    static uint8_t live[KEYS_MAX];
    for (size_t k = 0; k < UNIVERSE_COUNT; k++) {
        bool refused = true;
        for (int64_t n = 1; refused; n++) {
            model *m = model_create(&UNIVERSES[k]);
            rng random = {k};
            intern_random(m, &random, 9000);
            for (int64_t gid = 0; gid < m->peak; gid++) {
                live[gid] = gid % 3 == 1;
                if (!live[gid]) {
                    m->gid[m->owner[gid]] = -1;
                    m->owner[gid] = -1;
                    m->live--;
                }
            }
            const int64_t before = ps_mem_allocations(m->mem);
            ps_mem_fail_at(m->mem, n);
            sweep(m->map, live);
            ps_mem_fail_at(m->mem, 0);
            refused = ps_mem_allocations(m->mem) - before >= n;
            model_check_loads(m);
            intern_random(m, &random, 3000);
            model_check_loads(m);
            model_destroy(m);
        }
    }
}

static void too_many_columns_are_refused(void)
{
    ps_mem *mem = make_account();
    ps_keymap *map = NULL;
    ps_error err = {0};
    ps_type types[17];
    for (int i = 0; i < 17; i++) {
        types[i] = (ps_type){.id = PS_TYPE_INT64, .width = 8};
    }
    CHECK_EQ(ps_keymap_create(mem, types, 17, &map, &err), PS_INVALID);
    CHECK(strstr(err.text, "17") != NULL);
    CHECK_OK(ps_keymap_create(mem, types, 16, &map, &err));
    ps_keymap_destroy(map);
    ps_keymap_destroy(NULL);
    ps_mem_release(mem);
}

int main(void)
{
    RUN(ids_are_dense_and_keys_come_back);
    RUN(sweeps_forget_the_dead_and_reuse_their_ids);
    RUN(keys_come_while_others_are_forgotten);
    RUN(a_cleared_map_begins_again);
    RUN(swept_bytes_are_given_back);
    RUN(millions_of_sparse_keys);
    RUN(a_table_of_forgotten_keys_is_narrowed);
    RUN(compact_keys_cost_twelve_bytes);
    RUN(refusals_lose_nothing);
    RUN(refused_sweeps_keep_the_living);
    RUN(too_many_columns_are_refused);
    return 0;
}
