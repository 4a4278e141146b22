/* test_aggregate_restore.c -- state of another query is refused, refused memory leaks nothing. */
#include "aggregate_kit.h"

#define ROWS 260

static event rows[ROWS];

/* The groups batch that `j` writes after one row. */
static ps_batch *groups_of(const job *j, ps_mem *mem)
{
    lines out;
    ps_batch *groups = NULL;
    chain *c = open_chain(j, &ONE_SHARD, mem, &out);
    rows[0] = (event){.t = 1, .k = 3, .k_valid = true, .i = 5};
    CHECK_OK(chain_feed(c, rows, 1, 1, NULL));
    stop(c);
    for (int64_t i = 0; i < c->states.count; i++) {
        if (ps_schema_find(c->states.held[i].batch->schema, ".slice") >= 0) {
            groups = c->states.held[i].batch;
            ps_batch_retain(groups);
        }
    }
    chain_close(c);
    lines_free(&out);
    CHECK(groups != NULL);
    return groups;
}

static void state_of_another_query_is_corrupt(void)
{
    static const ps_agg_spec LEAST[] = {AGG(MIN, I)};
    const agg_set ints = SET(LEAST);
    const job mine = make_job(&SOME_WINDOWS[0], 0, 1, &ints);
    job others[] = {make_job(&SOME_WINDOWS[0], 0, 2, &ints), mine};
    others[1].keys[0] = S; /* another key type; the one before has more columns */
    for (int i = 0; i < 2; i++) {
        ps_mem *mem = make_account();
        lines out;
        ps_error err = {0};
        ps_batch *groups = groups_of(&others[i], mem);
        chain *c = open_chain(&mine, &ONE_SHARD, mem, &out);
        CHECK_EQ(c->shard[0]->calls->restore(c->shard[0], groups, &err), PS_CORRUPT);
        CHECK(err.text[0] != '\0');
        ps_batch_release(groups);
        close_chain(c, mem);
    }
}

/* The state's columns after a restore into another list of aggregates. */
static ps_status restored_columns(const agg_set *old, const agg_set *now, char *text, size_t size)
{
    const job before = make_job(&SOME_WINDOWS[0], 0, 1, old);
    const job after = make_job(&SOME_WINDOWS[0], 0, 1, now);
    ps_mem *mem = make_account();
    lines out;
    ps_error err = {0};
    ps_batch *groups = groups_of(&before, mem);
    chain *c = open_chain(&after, &ONE_SHARD, mem, &out);
    const ps_status status = c->shard[0]->calls->restore(c->shard[0], groups, &err);
    ps_schema *schema = NULL;
    CHECK_OK(c->shard[0]->calls->state_schema(c->shard[0], &schema, NULL));
    text[0] = '\0';
    for (int32_t i = 2; i < schema->field_count; i++) {
        const size_t used = strlen(text);
        (void)snprintf(text + used, size - used, "%s ", schema->fields[i].name);
    }
    if (status != PS_OK) {
        (void)snprintf(text, size, "%s", err.text);
    }
    ps_schema_release(schema);
    ps_batch_release(groups);
    close_chain(c, mem);
    return status;
}

/* What is new and has less to look back on than a count that it would share gets its own. */
static void a_new_aggregate_starts_with_all_or_with_nothing(void)
{
    static const ps_agg_spec ROWS_ONLY[] = {COUNT_ROWS}, SUM_V[] = {AGG(SUM, V)},
                             BOTH[] = {AGG(MIN, I), AGG(MAX, I)}, LEAST[] = {AGG(MIN, I)},
                             MEAN_I[] = {AGG(MEAN, I)}, SUM_I[] = {AGG(SUM, I)},
                             MEAN_V[] = {AGG(MEAN, V)};
    const agg_set rows_only = SET(ROWS_ONLY), sum_v = SET(SUM_V), both = SET(BOTH),
                  least = SET(LEAST), mean_i = SET(MEAN_I), sum_i = SET(SUM_I),
                  mean_v = SET(MEAN_V);
    const struct {
        const agg_set *old, *now;
        const char *lanes;
    } cases[] = {
        {&rows_only, &sum_v, ".rows .sum_f64(v) since 1 "},
        {&least, &both, ".rows .min(i) .max(i) since 1 .max_seen(i) since 1 "},
        {&least, &mean_i, ".rows .sum_f64(i) since 1 .sum_f64_seen(i) since 1 "},
        {&sum_i, &mean_i, ".rows .sum_f64(i) "},
    };
    char text[600];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_OK(restored_columns(cases[i].old, cases[i].now, text, sizeof text));
        CHECK(strcmp(text, cases[i].lanes) == 0);
    }
    CHECK_EQ(restored_columns(&sum_v, &mean_v, text, sizeof text), PS_INVALID);
    CHECK(strstr(text, "'MEANV' is new, and the state has a sum of v without a count") != NULL);
}

/* Rows of groups in the pieces of the last barrier. */
static int64_t groups_held(const states *held)
{
    int64_t count = 0;
    for (int64_t i = 0; i < held->count; i++) {
        const ps_batch *const batch = held->held[i].batch;
        count += ps_schema_find(batch->schema, ".slice") >= 0 ? batch->length : 0;
    }
    return count;
}

/* What a snapshot gave is in a snapshot: an increment right after has what changed since. */
static void restored_rows_have_not_changed(void)
{
    static const run TRACKS = {.shards = 1, .tracks = true};
    static const agg_set *const set = &SETS[1];
    static chain rest;
    rng random = {11};
    draw_events(rows, ROWS, 5, 2, 3, &random);
    const job j = make_job(&NO_WINDOW, 0, 1, set);
    ps_mem *mem = make_account();
    lines out, more = {0};
    chain *c = open_chain(&j, &TRACKS, mem, &out);
    CHECK_OK(chain_feed(c, rows, ROWS, 50, NULL));
    stop(c);
    CHECK(groups_held(&c->states) > 2);
    CHECK_OK(chain_open(&rest, &j, &TRACKS, 1, mem, &more, NULL));
    CHECK_OK(chain_restore(&rest, &c->states, NULL));
    CHECK_OK(chain_barrier(&rest, false, NULL));
    CHECK_OK(chain_copy(&rest, NULL));
    CHECK_EQ(groups_held(&rest.states), 0);
    CHECK_OK(chain_feed(&rest, rows, 1, 1, NULL));
    CHECK_OK(chain_barrier(&rest, false, NULL));
    CHECK_OK(chain_copy(&rest, NULL));
    CHECK_EQ(groups_held(&rest.states), 1);
    chain_close(&rest);
    lines_free(&more);
    close_chain(c, mem);
}

/* A sweep takes memory by the number of keys, and would find all of them alive. */
static void the_first_watermark_does_not_sweep(void)
{
    enum { KEYS = 70000 }; /* enough for a sweep */
    static event many[KEYS];
    static chain rest;
    const job j = make_job(&SOME_WINDOWS[0], 0, 1, &SETS[1]);
    ps_mem *mem = NULL, *account = NULL;
    lines out, more = {0};
    for (int64_t i = 0; i < KEYS; i++) {
        many[i] = (event){.t = 1, .k = i, .k_valid = true, .i = 1};
    }
    CHECK_OK(ps_mem_create(0, &mem, NULL));
    CHECK_OK(ps_mem_create(0, &account, NULL));
    chain *c = open_chain(&j, &ONE_SHARD, mem, &out);
    CHECK_OK(chain_feed(c, many, KEYS, 60000, NULL));
    stop(c);
    CHECK_OK(chain_open(&rest, &j, &ONE_SHARD, 1, account, &more, NULL));
    CHECK_OK(chain_restore(&rest, &c->states, NULL));
    const int64_t before = ps_mem_peak(account);
    CHECK_OK(chain_feed(&rest, many, 1, 1, NULL));
    CHECK(ps_mem_peak(account) < before + KEYS);
    chain_close(&rest);
    lines_free(&more);
    ps_mem_release(account);
    close_chain(c, mem);
}

static void refused_memory_leaks_nothing(void)
{
    const job j = make_job(&SOME_WINDOWS[3], 0, 2, &SETS[4]);
    rng random = {3};
    ps_mem *mem = make_account();
    lines out, rest_out;
    draw_events(rows, ROWS, 9, 1, 5, &random);
    chain *c = open_chain(&j, &ONE_SHARD, mem, &out);
    CHECK_OK(chain_feed(c, rows, ROWS, 50, NULL));
    stop(c);
    ps_status status = PS_NO_MEMORY;
    for (int64_t n = 1; status != PS_OK; n++) {
        static chain rest;
        ps_mem *small = make_account();
        rest_out = (lines){0};
        CHECK_OK(chain_open(&rest, &j, &ONE_SHARD, 2, small, &rest_out, NULL));
        ps_mem_fail_at(small, n);
        status = chain_restore(&rest, &c->states, NULL);
        CHECK(status == PS_OK || status == PS_NO_MEMORY);
        CHECK(n > 1 || status != PS_OK);
        chain_close(&rest);
        lines_free(&rest_out);
        settle(small);
    }
    close_chain(c, mem);
}

int main(void)
{
    RUN(state_of_another_query_is_corrupt);
    RUN(a_new_aggregate_starts_with_all_or_with_nothing);
    RUN(restored_rows_have_not_changed);
    RUN(the_first_watermark_does_not_sweep);
    RUN(refused_memory_leaks_nothing);
    return 0;
}
