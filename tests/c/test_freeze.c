/* test_freeze.c -- a frozen store is read as it was, whatever happens to its rows meanwhile. */
#include "state/freeze.h"

#include "agg_model.h"

enum { GIDS = 9000, SLICES = 5 };

/* What a row holds: 0 = absent. Row counts are the values here. */
typedef struct picture {
    uint64_t rows[SLICES][GIDS];
} picture;

typedef struct bench {
    ps_mem *mem;
    ps_agg_layout *layout;
    ps_slice_store store;
    ps_freeze freeze;
    picture *now, *then, *got;
    bool (*changed)[GIDS]; /* since the last freeze; before it */
    bool (*wanted)[GIDS];
    bool gone[SLICES];
} bench;

static void begin(bench *b, bool texts)
{
    *b = (bench){0};
    CHECK_OK(ps_mem_create(0, &b->mem, NULL));
    ps_agg_arg args[] = {agg_arg(PS_AGG_SUM, &AGG_TYPES[3].type, false),
                         agg_arg(PS_AGG_MAX, &AGG_TYPES[texts ? 5 : 3].type, false)};
    args[1].input = 1;
    CHECK_OK(ps_agg_layout_create(b->mem, args, 2, &b->layout, NULL));
    ps_slice_store_init(&b->store, b->mem, b->layout);
    b->store.tracks = true;
    ps_freeze_init(&b->freeze, &b->store);
    b->now = calloc(1, sizeof *b->now);
    b->then = calloc(1, sizeof *b->then);
    b->got = calloc(1, sizeof *b->got);
    b->changed = calloc(SLICES, sizeof *b->changed);
    b->wanted = calloc(SLICES, sizeof *b->wanted);
}

static void end(bench *b)
{
    ps_freeze_fini(&b->freeze);
    ps_slice_store_fini(&b->store);
    ps_agg_layout_destroy(b->layout);
    free(b->now);
    free(b->then);
    free(b->got);
    free(b->changed);
    free(b->wanted);
    CHECK_EQ(ps_mem_used(b->mem), 0);
    ps_mem_release(b->mem);
}

static ps_status touch(bench *b, int64_t index, const uint32_t *gids, int64_t count)
{
    ps_slice *slice = NULL;
    uint32_t most = 0;
    for (int64_t i = 0; i < count; i++) {
        most = gids[i] > most ? gids[i] : most;
    }
    PS_TRY(ps_slice_obtain(&b->store, index, &slice, NULL));
    PS_TRY(ps_slice_reach(&b->store, slice, (int64_t)most + 1, NULL));
    PS_TRY(ps_freeze_touch(&b->freeze, slice, gids, count, NULL));
    for (int64_t i = 0; i < count; i++) {
        const int64_t chunk = gids[i] >> PS_SLICE_SHIFT;
        if (slice->chunks[chunk] == NULL && ps_slice_add_chunk(&b->store, slice, chunk) == NULL) {
            return PS_NO_MEMORY;
        }
        uint8_t *row =
            slice->chunks[chunk] + (size_t)(gids[i] & (PS_SLICE_ROWS - 1)) * b->store.stride;
        ++*(uint64_t *)(void *)row;
        b->now->rows[index][gids[i]]++;
        b->changed[index][gids[i]] = true;
    }
    return PS_OK;
}

static void touch_some(bench *b, rng *random)
{
    uint32_t gids[PS_CHUNK_ROWS];
    const int64_t index = rng_below(random, SLICES);
    const int64_t count = rng_between(random, 1, PS_CHUNK_ROWS);
    const int64_t reach = rng_once_in(random, 2) ? GIDS : rng_between(random, 1, GIDS);
    for (int64_t i = 0; i < count; i++) {
        gids[i] = (uint32_t)rng_below(random, reach);
    }
    if (!b->gone[index]) {
        CHECK_OK(touch(b, index, gids, count));
    }
}

static void freeze(bench *b, bool all)
{
    CHECK_OK(ps_freeze_begin(&b->freeze, all, NULL));
    memcpy(b->then, b->now, sizeof *b->then);
    memset(b->got, 0, sizeof *b->got);
    for (int64_t s = 0; s < SLICES; s++) {
        for (int64_t g = 0; g < GIDS; g++) {
            b->wanted[s][g] = b->then->rows[s][g] != 0 && (all || b->changed[s][g]);
            b->changed[s][g] = false;
        }
    }
}

static void read_part(bench *b, int64_t most)
{
    static ps_freeze_rows rows;
    ps_freeze_read(&b->freeze, most, &rows);
    CHECK(rows.count <= most);
    for (int64_t i = 0; i < rows.count; i++) {
        uint64_t *got = &b->got->rows[rows.slices[i]][rows.gids[i]];
        CHECK_EQ(*got, 0); /* each row once */
        *got = ps_agg_rows(rows.rows[i]);
    }
}

static void check_read(const bench *b)
{
    for (int64_t s = 0; s < SLICES; s++) {
        for (int64_t g = 0; g < GIDS; g++) {
            CHECK_EQ(b->got->rows[s][g], b->wanted[s][g] ? b->then->rows[s][g] : 0);
        }
    }
}

/* Slices below a bound go, frozen or not, and do not come back. */
static void retire_some(bench *b, rng *random)
{
    const int64_t bound = rng_below(random, SLICES + 1);
    ps_slice_retire(&b->store, bound);
    for (int64_t s = 0; s < bound; s++) {
        memset(b->now->rows[s], 0, sizeof b->now->rows[s]);
        memset(b->changed[s], 0, sizeof b->changed[s]);
        b->gone[s] = true;
    }
}

static void rows_are_read_as_they_were(void)
{
    rng random = {11};
    for (int round = 0; round < 60; round++) {
        bench b;
        begin(&b, false);
        for (int barrier = 0; barrier < 4; barrier++) {
            for (int64_t n = rng_below(&random, 12); n > 0; n--) {
                touch_some(&b, &random);
            }
            freeze(&b, rng_once_in(&random, 2));
            while (b.freeze.active) {
                for (int64_t n = rng_below(&random, 3); n > 0; n--) {
                    touch_some(&b, &random);
                }
                if (rng_once_in(&random, 20)) {
                    retire_some(&b, &random);
                }
                for (int64_t n = rng_below(&random, 4); n > 0 && b.freeze.active; n--) {
                    read_part(&b, rng_between(&random, PS_FREEZE_READ_MIN, PS_CHUNK_ROWS));
                }
            }
            check_read(&b);
        }
        end(&b);
    }
}

/* A store of one small slice, frozen and abandoned with rows in the log and its slice retired. */
static void an_abandoned_freeze_leaves_nothing(void)
{
    bench b;
    const uint32_t gids[] = {0, 5, 60};
    begin(&b, false);
    CHECK_OK(touch(&b, 1, gids, 3));
    CHECK_OK(touch(&b, 3, gids, 2));
    freeze(&b, true);
    CHECK_OK(touch(&b, 1, gids, 3));
    ps_slice_retire(&b.store, 2);
    CHECK_EQ(b.store.count, 1);
    end(&b);
}

/* A saved row has strings of its own: the slice writes over its own ones in place. */
static void strings_are_read_as_they_were(void)
{
    bench b;
    const uint32_t gid = 7;
    ps_slice *slice = NULL;
    static ps_freeze_rows read;
    begin(&b, true);
    CHECK_OK(touch(&b, 0, &gid, 1));
    CHECK_OK(ps_slice_obtain(&b.store, 0, &slice, NULL));
    uint8_t *rows[1 + PS_AGG_AHEAD] = {slice->chunks[0] + gid * b.store.stride};
    const double zero = 0;
    const ps_string texts[] = {{.data = "moss", .size_bytes = 4},
                               {.data = "pine", .size_bytes = 4}};
    for (int i = 0; i < 2; i++) {
        const ps_vector inputs[] = {{.kind = PS_CLASS_F64, .values = &zero},
                                    {.kind = PS_CLASS_STR, .values = &texts[i]}};
        CHECK_OK(ps_freeze_touch(&b.freeze, slice, &gid, 1, NULL));
        CHECK_OK(ps_agg_update(b.layout, rows, inputs, NULL, 1, &slice->strings, NULL));
        if (i == 0) {
            CHECK_OK(ps_freeze_begin(&b.freeze, true, NULL));
        }
    }
    ps_freeze_read(&b.freeze, PS_CHUNK_ROWS, &read);
    CHECK_EQ(read.count, 1);
    ps_vector_scratch scratch;
    ps_vector vector;
    ps_agg_lane_save(b.layout, 2, read.rows, 1, &scratch, &vector);
    CHECK_EQ(vector.kind, PS_CLASS_STR);
    CHECK(memcmp(((const ps_string *)vector.values)[0].data, "moss", 4) == 0);
    end(&b);
}

static ps_status use_once(bench *b)
{
    uint32_t gids[PS_CHUNK_ROWS];
    for (uint32_t i = 0; i < PS_CHUNK_ROWS; i++) {
        gids[i] = i * 8;
    }
    PS_TRY(touch(b, 0, gids, 40));
    PS_TRY(touch(b, 1, gids, PS_CHUNK_ROWS));
    PS_TRY(ps_freeze_begin(&b->freeze, true, NULL));
    PS_TRY(touch(b, 1, gids, PS_CHUNK_ROWS));
    PS_TRY(touch(b, 2, gids, PS_CHUNK_ROWS));
    while (b->freeze.active) {
        read_part(b, PS_CHUNK_ROWS);
    }
    return PS_OK;
}

static void refused_memory_leaks_nothing(void)
{
    ps_status status = PS_NO_MEMORY;
    for (int64_t n = 1; status != PS_OK; n++) {
        bench b;
        begin(&b, false);
        ps_mem_fail_at(b.mem, n);
        status = use_once(&b);
        CHECK(status == PS_OK || status == PS_NO_MEMORY);
        CHECK(n > 10 || status != PS_OK);
        end(&b);
    }
}

/* Without tracking the rows are read at once; strings and marks cost nothing. */
static void an_untracked_store_is_read_at_once(void)
{
    bench b;
    begin(&b, false);
    b.store.tracks = false;
    ps_slice *slice = NULL;
    CHECK_OK(ps_slice_obtain(&b.store, 4, &slice, NULL));
    CHECK_OK(ps_slice_reach(&b.store, slice, 5000, NULL));
    CHECK(ps_slice_add_chunk(&b.store, slice, 1) != NULL);
    for (uint32_t gid = 0; gid < 5000; gid += 3) {
        uint8_t *row = slice->chunks[gid >> PS_SLICE_SHIFT] +
                       (size_t)(gid & (PS_SLICE_ROWS - 1)) * b.store.stride;
        *(uint64_t *)(void *)row = b.now->rows[4][gid] = gid + 1;
    }
    freeze(&b, true);
    while (b.freeze.active) {
        read_part(&b, PS_CHUNK_ROWS);
    }
    check_read(&b);
    CHECK_EQ(slice->mark_words, 0);
    end(&b);
}

int main(void)
{
    RUN(rows_are_read_as_they_were);
    RUN(an_abandoned_freeze_leaves_nothing);
    RUN(strings_are_read_as_they_were);
    RUN(refused_memory_leaks_nothing);
    RUN(an_untracked_store_is_read_at_once);
    return 0;
}
