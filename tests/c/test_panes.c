/* test_panes.c -- every window equals the recomputation from its rows, whatever came in between.
 *
 * Rows land in slices while windows are opened and retired in ascending order, also in slices that
 * a running total or a block part has folded already.
 */
#include "window/panes.h"

#include "agg_model.h"

#define GROUPS 8
#define GID_STEP 601 /* groups lie far apart: in two chunks */

static agg_table table;

typedef struct scene {
    ps_mem *mem;
    ps_agg_layout *layout;
    ps_edges edges;
    ps_slice_store store;
    ps_panes panes;
    int32_t functions_count;
    ps_agg_function functions[FUNCTION_COUNT];
    bool in[AGG_ROWS]; /* the row was added */
    int64_t next_window;
} scene;

static void scene_open(scene *s, const ps_window *window, size_t type, bool invertible)
{
    ps_agg_arg args[FUNCTION_COUNT];
    *s = (scene){.next_window = INT64_MIN};
    CHECK_OK(ps_mem_create(0, &s->mem, NULL));
    CHECK_OK(ps_edges_init(&s->edges, window, NULL));
    for (ps_agg_function f = PS_AGG_COUNT; f < FUNCTION_COUNT; f++) {
        if (agg_takes(f, &AGG_TYPES[type].type) && (!invertible || f <= PS_AGG_SUM)) {
            args[s->functions_count] = agg_arg(f, &AGG_TYPES[type].type, true);
            s->functions[s->functions_count++] = f;
        }
    }
    CHECK_OK(ps_agg_layout_create(s->mem, args, s->functions_count, &s->layout, NULL));
    ps_slice_store_init(&s->store, s->mem, s->layout);
    ps_panes_init(&s->panes, &s->store, &s->edges);
}

static void scene_close(scene *s)
{
    ps_panes_fini(&s->panes);
    ps_slice_store_fini(&s->store);
    ps_agg_layout_destroy(s->layout);
    CHECK_EQ(ps_mem_used(s->mem), 0);
    ps_mem_release(s->mem);
}

/* Row i of the table, unless its slice is gone. */
static ps_status add_row(scene *s, int64_t i, ps_error *err)
{
    const int64_t index = ps_edges_slice(&s->edges, table.times[i]);
    const uint32_t gid = table.groups[i] * GID_STEP;
    ps_slice *slice = NULL;
    uint8_t *rows[1 + PS_AGG_AHEAD] = {NULL};
    ps_vector vectors[2];
    if (s->next_window != INT64_MIN && index < s->next_window * s->edges.per_slide) {
        return PS_OK;
    }
    PS_TRY(ps_slice_obtain(&s->store, index, &slice, err));
    PS_TRY(ps_slice_reach(&s->store, slice, (int64_t)gid + 1, err));
    ps_panes_touch(&s->panes, index);
    uint8_t *chunk = slice->chunks[gid >> PS_SLICE_SHIFT];
    if (chunk == NULL) {
        chunk = ps_slice_add_chunk(&s->store, slice, gid >> PS_SLICE_SHIFT);
    }
    if (chunk == NULL) {
        return ps_mem_refused(s->mem, s->store.chunk_bytes, "the test", err);
    }
    rows[0] = chunk + (gid & (PS_SLICE_ROWS - 1)) * s->store.stride;
    agg_vectors(&table, i, vectors);
    PS_TRY(ps_agg_update(s->layout, rows, vectors, &table.times[i], 1, &slice->strings, err));
    s->in[i] = true;
    return PS_OK;
}

/* One group of the open window: its row (NULL = none) against its rows in the table. */
static void check_group(const scene *s, uint32_t group, const uint8_t *row, int64_t start,
                        int64_t end)
{
    static agg_row picked[AGG_ROWS];
    static ps_vector_scratch scratch;
    int64_t count = 0;
    for (int64_t i = 0; i < table.count; i++) {
        picked[count] = table.rows[i];
        count +=
            s->in[i] && table.groups[i] == group && table.times[i] >= start && table.times[i] < end;
    }
    CHECK_EQ(row == NULL ? 0 : ps_agg_rows(row), count);
    for (int32_t k = 0; count > 0 && k < s->functions_count; k++) {
        const ps_agg_function f = s->functions[k];
        const agg_answer want =
            agg_recompute(f, f == PS_AGG_VAR ? 0 : 1, table.kind, picked, count);
        ps_vector vector;
        CHECK_OK(ps_agg_lower(s->layout, k, &row, 1, &scratch, &vector, NULL));
        agg_check(&vector, 0, &want, f == PS_AGG_VAR || f == PS_AGG_STD ? 1e-8 : 0.0);
    }
}

static ps_status check_window(scene *s, int64_t window, ps_error *err)
{
    const int64_t start = ps_edges_window_start(&s->edges, window);
    bool seen[GROUPS] = {false};
    PS_TRY(ps_panes_open(&s->panes, window * s->edges.per_slide, err));
    for (int64_t chunk = 0; chunk < ps_panes_chunk_count(&s->panes); chunk++) {
        const uint8_t *rows = NULL;
        int64_t count = 0;
        PS_TRY(ps_panes_rows(&s->panes, chunk, &rows, &count, err));
        int64_t others = 0;
        for (int64_t i = 0; i < count; i++) {
            const uint8_t *row = rows + (size_t)i * s->store.stride;
            const int64_t gid = chunk * PS_SLICE_ROWS + i;
            if (gid % GID_STEP == 0 && gid / GID_STEP < GROUPS) {
                seen[gid / GID_STEP] = true;
                check_group(s, (uint32_t)(gid / GID_STEP), row, start, start + s->edges.size);
            } else {
                others += ps_agg_rows(row) != 0;
            }
        }
        CHECK_EQ(others, 0);
    }
    for (uint32_t g = 0; g < GROUPS; g++) {
        if (!seen[g]) {
            check_group(s, g, NULL, start, start + s->edges.size);
        }
    }
    s->next_window = window + 1;
    ps_panes_retire(&s->panes, s->next_window * s->edges.per_slide);
    return PS_OK;
}

/* The next window with a row, as the aggregate finds it. */
static bool next_window(const scene *s, int64_t *window)
{
    if (s->store.count == 0) {
        return false;
    }
    *window =
        ps_max_i64(s->next_window, ps_edges_first_window(&s->edges, s->store.slices[0]->index));
    return true;
}

/* Times go up by `step` a row with some disorder and, now and then, a gap. */
static void draw_times(int64_t count, int64_t step, int64_t disorder, rng *random)
{
    int64_t now = -300;
    for (int64_t i = 0; i < count; i++) {
        now += rng_once_in(random, 60) ? rng_below(random, 200) : rng_below(random, step + 1);
        table.times[i] = table.rows[i].time = now - rng_below(random, disorder + 1);
    }
}

static ps_status play(scene *s, rng *random, ps_error *err)
{
    for (int64_t i = 0; i < table.count; i++) {
        PS_TRY(add_row(s, i, err));
        int64_t window;
        while (rng_once_in(random, 4) && next_window(s, &window) &&
               ps_edges_window_start(&s->edges, window) <= table.times[i]) {
            PS_TRY(check_window(s, window, err));
        }
    }
    for (int64_t window; next_window(s, &window);) {
        PS_TRY(check_window(s, window, err));
    }
    return PS_OK;
}

static const ps_window WINDOWS[] = {
    {.kind = PS_WINDOW_TUMBLING, .size = 10},
    {.kind = PS_WINDOW_HOPPING, .size = 10, .slide = 10, .offset = 3},
    {.kind = PS_WINDOW_HOPPING, .size = 12, .slide = 3},
    {.kind = PS_WINDOW_HOPPING, .size = 10, .slide = 4, .offset = -7},
    {.kind = PS_WINDOW_HOPPING, .size = 7, .slide = 6},
    {.kind = PS_WINDOW_HOPPING, .size = 40, .slide = 1},
};

static void run_all(bool invertible)
{
    rng random = {invertible ? 10 : 20};
    for (size_t w = 0; w < sizeof WINDOWS / sizeof WINDOWS[0]; w++) {
        for (size_t type = 0; type < AGG_TYPE_COUNT - 1; type++) {
            if (invertible && ps_type_class(&AGG_TYPES[type].type) == PS_CLASS_F64) {
                continue;
            }
            scene s;
            scene_open(&s, &WINDOWS[w], type, invertible);
            const ps_panes_mode want = s.edges.slices_per_window == 1 ? PS_PANES_SINGLE
                                       : invertible                   ? PS_PANES_RUNNING
                                                                      : PS_PANES_BLOCKS;
            CHECK_EQ(s.panes.mode, want);
            agg_fill(&table, &AGG_TYPES[type].type, 120, GROUPS, type % 2 == 0, true, &random);
            draw_times(120, rng_between(&random, 1, 9), rng_below(&random, 40), &random);
            CHECK_OK(play(&s, &random, NULL));
            scene_close(&s);
        }
    }
}

static void running_totals_equal_recomputation(void)
{
    run_all(true);
}

static void block_parts_equal_recomputation(void)
{
    run_all(false);
}

/* Each slice is combined a bounded number of times: memory stays at one window, whatever has
 * passed. */
static void memory_stays_that_of_one_window(void)
{
    for (int invertible = 0; invertible < 2; invertible++) {
        scene s;
        rng random = {7};
        scene_open(&s, &WINDOWS[5], 5, invertible != 0);
        agg_fill(&table, &AGG_TYPES[5].type, AGG_ROWS, GROUPS, false, true, &random);
        int64_t middle = 0, most = 0;
        for (int64_t i = 0; i < AGG_ROWS; i++) {
            table.times[i] = table.rows[i].time = i / 3;
            CHECK_OK(add_row(&s, i, NULL));
            int64_t window;
            while (next_window(&s, &window) &&
                   ps_edges_window_end(&s.edges, window) <= table.times[i]) {
                CHECK_OK(ps_panes_open(&s.panes, window * s.edges.per_slide, NULL));
                s.next_window = window + 1;
                ps_panes_retire(&s.panes, s.next_window * s.edges.per_slide);
            }
            int64_t *mark = i < AGG_ROWS / 2 ? &middle : &most;
            *mark = ps_max_i64(*mark, ps_mem_used(s.mem));
        }
        CHECK(most <= middle + middle / 4);
        scene_close(&s);
    }
}

static void refused_memory_leaks_nothing(void)
{
    for (int mode = 0; mode < 2; mode++) {
        ps_status status = PS_NO_MEMORY;
        for (int64_t n = 1; status != PS_OK; n++) {
            scene s;
            rng random = {3};
            scene_open(&s, &WINDOWS[3], 5, mode == 0);
            agg_fill(&table, &AGG_TYPES[5].type, 40, GROUPS, false, true, &random);
            draw_times(40, 4, 10, &random);
            ps_mem_fail_at(s.mem, n);
            status = play(&s, &random, NULL);
            CHECK(status == PS_OK || status == PS_NO_MEMORY);
            CHECK(n > 1 || status != PS_OK);
            ps_mem_fail_at(s.mem, 0);
            scene_close(&s);
        }
    }
}

int main(void)
{
    RUN(running_totals_equal_recomputation);
    RUN(block_parts_equal_recomputation);
    RUN(memory_stays_that_of_one_window);
    RUN(refused_memory_leaks_nothing);
    return 0;
}
