/* aggregate_kit.h -- the aggregate operator run on rows in every way there is, beside the oracle.
 *
 *     rows -> batches of any cut -> chain -> lines of text, which must be those of the oracle
 *       \-> stopped at a barrier, its state into another chain -> the same lines
 */
#ifndef PS_TESTS_AGGREGATE_KIT_H
#define PS_TESTS_AGGREGATE_KIT_H

#include "aggregate_chain.h"

/* The state at stop_at. The chain then goes on with what comes after, which must not show in it. */
static inline ps_status run_until_stop(chain *c, const run *r, const event *rows, int64_t count,
                                       ps_error *err)
{
    const int64_t stop = ps_min_i64(r->stop_at, count);
    const int64_t base = ps_min_i64(r->base_at, stop);
    lines *const out = c->out;
    lines dropped = {0};
    if (r->base_at > 0) {
        PS_TRY(chain_feed(c, rows, base, r->cut, err));
        PS_TRY(chain_barrier(c, true, err));
    }
    PS_TRY(chain_feed(c, rows + base, stop - base, r->cut, err));
    PS_TRY(chain_copy(c, err));
    PS_TRY(chain_barrier(c, r->base_at == 0, err));
    for (int32_t s = 0; s < c->shards; s++) {
        CHECK_EQ(c->end[s].barriers, r->base_at > 0 ? 2 : 1);
        out->late += ps_stat_get(&c->shard[s]->stats.late_rows);
        c->end[s].out = &dropped;
    }
    c->out = NULL;
    ps_status status = PS_OK;
    if (r->tracks) {
        status = chain_feed(c, rows + stop, count - stop, r->cut, err);
    }
    lines_free(&dropped);
    return status == PS_OK ? chain_copy(c, err) : status;
}

/* The rows after the barrier go to a new chain that was given the states of the first. */
static inline ps_status run_rest(const chain *first, const run *r, const event *rows, int64_t count,
                                 lines *out, ps_error *err)
{
    chain rest;
    ps_status status = chain_open(&rest, first->job, r, r->restored_shards, first->mem, out, err);
    if (status == PS_OK) {
        status = chain_restore(&rest, &first->states, err);
    }
    if (status == PS_OK) {
        const int64_t stop = ps_min_i64(r->stop_at, count);
        status = chain_feed(&rest, rows + stop, count - stop, r->cut, err);
    }
    if (status == PS_OK) {
        status = chain_finish(&rest, err);
    }
    chain_close(&rest);
    return status;
}

/* Runs the job on `mem`; the lines are sorted. */
static inline ps_status run_job(const job *j, const run *r, const event *rows, int64_t count,
                                ps_mem *mem, lines *out, ps_error *err)
{
    static chain c;
    *out = (lines){0};
    ps_status status = chain_open(&c, j, r, r->shards, mem, out, err);
    if (status == PS_OK && r->stop_at > 0) {
        status = run_until_stop(&c, r, rows, count, err);
        if (status == PS_OK) {
            status = run_rest(&c, r, rows, count, out, err);
        }
    } else if (status == PS_OK) {
        status = chain_feed(&c, rows, count, r->cut, err);
        if (status == PS_OK) {
            status = chain_finish(&c, err);
        }
    }
    chain_close(&c);
    lines_sort(out);
    return status;
}

/* Runs and compares; all memory must come back. */
static inline void check_run(const job *j, const run *r, const event *rows, int64_t count,
                             const lines *want)
{
    char how[240];
    ps_mem *mem = make_account();
    lines got;
    ps_error err = {0};
    snprintf(how, sizeof how,
             "cut %" PRId64 ", %d shards, resume %d, base at %" PRId64 ", stopped at %" PRId64
             ", copied after %" PRId64 " batches, into %d shards",
             r->cut, r->shards, r->resume, r->base_at, r->stop_at, r->copy_lag, r->restored_shards);
    if (run_job(j, r, rows, count, mem, &got, &err) != PS_OK) {
        CHECK_FAIL("%s: %s", how, err.text);
    }
    lines_check(&got, want, how);
    lines_free(&got);
    settle(mem);
}

/* Refuses every allocation in turn: each run ends in an error that says so, until one passes. */
static inline void check_refusals(const job *j, const run *r, const event *rows, int64_t count)
{
    lines want = oracle(j, rows, count);
    ps_status status = PS_NO_MEMORY;
    for (int64_t n = 1; status != PS_OK; n++) {
        ps_mem *mem = make_account();
        lines got;
        ps_error err = {0};
        ps_mem_fail_at(mem, n);
        status = run_job(j, r, rows, count, mem, &got, &err);
        if (status == PS_OK) {
            CHECK(n > 100);
            lines_check(&got, &want, "with memory");
        } else {
            CHECK_EQ(status, PS_NO_MEMORY);
            CHECK(strstr(err.text, "bytes") != NULL);
        }
        lines_free(&got);
        settle(mem);
    }
    lines_free(&want);
}

#endif
