/* test_aggregate_restore.c -- state of another query is refused, refused memory leaks nothing. */
#include "aggregate_kit.h"

#define ROWS 260

static event rows[ROWS];

static const run ONE_SHARD = {.shards = 1};

static chain *open_chain(const job *j, const run *r, ps_mem *mem, lines *out)
{
    static chain c;
    *out = (lines){0};
    CHECK_OK(chain_open(&c, j, r, 1, mem, out, NULL));
    return &c;
}

static void close_chain(chain *c, ps_mem *mem)
{
    lines *out = c->out;
    chain_close(c);
    lines_free(out);
    CHECK_EQ(ps_mem_used(mem), 0);
    ps_mem_release(mem);
}

static void stop(chain *c)
{
    CHECK_OK(chain_barrier(c, true, NULL));
    CHECK_OK(chain_copy(c, NULL));
}

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
    static const ps_agg_spec
        LEAST_F[] = {{.function = PS_AGG_MIN, .name = "least", .input = V, .weight = -1}},
        LEAST_I[] = {{.function = PS_AGG_MIN, .name = "least", .input = I, .weight = -1}};
    const agg_set floats = SET(LEAST_F), ints = SET(LEAST_I);
    const job mine = make_job(&SOME_WINDOWS[0], 0, 1, &ints);
    const job others[] = {
        make_job(&SOME_WINDOWS[0], 0, 1, &floats), /* another lane type */
        make_job(&SOME_WINDOWS[0], 0, 2, &ints),   /* another number of columns */
    };
    for (int i = 0; i < 3; i++) {
        ps_mem *mem = NULL;
        lines out;
        ps_error err = {0};
        CHECK_OK(ps_mem_create(0, &mem, NULL));
        job other = others[i % 2];
        if (i == 2) { /* another key type */
            other = mine;
            other.keys[0] = S;
        }
        ps_batch *groups = groups_of(&other, mem);
        chain *c = open_chain(&mine, &ONE_SHARD, mem, &out);
        CHECK_EQ(c->shard[0]->calls->restore(c->shard[0], groups, &err), PS_CORRUPT);
        CHECK(err.text[0] != '\0');
        ps_batch_release(groups);
        close_chain(c, mem);
    }
}

/* A sum that is new starts empty; a mean would divide its new sum by all rows so far. */
static void a_new_aggregate_starts_empty_or_is_refused(void)
{
    static const ps_agg_spec OLD[] = {COUNT_ROWS}, SUMMED[] = {COUNT_ROWS, AGG(SUM, I)},
                             MEANT[] = {COUNT_ROWS, AGG(MEAN, I)}, LEAST[] = {AGG(MIN, I)};
    const agg_set old = SET(OLD), sets[] = {SET(SUMMED), SET(MEANT), SET(LEAST)};
    const job before = make_job(&SOME_WINDOWS[0], 0, 1, &old);
    for (int i = 0; i < 3; i++) {
        ps_mem *mem = NULL;
        lines out;
        ps_error err = {0};
        CHECK_OK(ps_mem_create(0, &mem, NULL));
        ps_batch *groups = groups_of(&before, mem);
        const job after = make_job(&SOME_WINDOWS[0], 0, 1, &sets[i]);
        chain *c = open_chain(&after, &ONE_SHARD, mem, &out);
        const ps_status status = c->shard[0]->calls->restore(c->shard[0], groups, &err);
        CHECK_EQ(status, i == 0 ? PS_OK : PS_INVALID);
        CHECK(i == 0 || strstr(err.text, i == 1 ? "'MEANI'" : "'MINI'") != NULL);
        ps_batch_release(groups);
        close_chain(c, mem);
    }
}

static void refused_memory_leaks_nothing(void)
{
    const job j = make_job(&SOME_WINDOWS[3], 0, 2, &SETS[4]);
    rng random = {3};
    ps_mem *mem = NULL;
    lines out, rest_out;
    draw_events(rows, ROWS, 9, 1, 5, &random);
    CHECK_OK(ps_mem_create(0, &mem, NULL));
    chain *c = open_chain(&j, &ONE_SHARD, mem, &out);
    CHECK_OK(chain_feed(c, rows, ROWS, 50, NULL));
    stop(c);
    ps_status status = PS_NO_MEMORY;
    for (int64_t n = 1; status != PS_OK; n++) {
        static chain rest;
        ps_mem *small = NULL;
        rest_out = (lines){0};
        CHECK_OK(ps_mem_create(0, &small, NULL));
        CHECK_OK(chain_open(&rest, &j, &ONE_SHARD, 2, small, &rest_out, NULL));
        ps_mem_fail_at(small, n);
        status = chain_restore(&rest, &c->states, NULL);
        CHECK(status == PS_OK || status == PS_NO_MEMORY);
        CHECK(n > 1 || status != PS_OK);
        chain_close(&rest);
        lines_free(&rest_out);
        CHECK_EQ(ps_mem_used(small), 0);
        ps_mem_release(small);
    }
    close_chain(c, mem);
}

int main(void)
{
    RUN(state_of_another_query_is_corrupt);
    RUN(a_new_aggregate_starts_empty_or_is_refused);
    RUN(refused_memory_leaks_nothing);
    return 0;
}
