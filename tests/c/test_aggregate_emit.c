/* test_aggregate_emit.c -- results leave in bounded parts, in order, the same however it is cut. */
#include "aggregate_kit.h"

#define MANY 150000

static event rows[MANY];

static void all_answers_out(chain *c, int64_t *parts)
{
    bool more = true;
    for (*parts = 0; more; (*parts)++) {
        const int64_t before = c->end[0].batches;
        CHECK_OK(ps_operator_resume(c->shard[0], &more, NULL));
        CHECK(c->end[0].batches - before <= 1);            /* one batch is one bounded part */
        CHECK(!more || c->end[0].watermark < PS_TIME_MAX); /* the watermark comes after all rows */
    }
}

/* More groups in one window than a batch may hold, and many windows of a few groups. */
static void parts_are_bounded(void)
{
    for (int many_windows = 0; many_windows < 2; many_windows++) {
        const job j = make_job(&SOME_WINDOWS[0], 0, 1, &SETS[1]);
        const run r = {.cut = 1, .shards = 1, .resume = 2};
        ps_mem *mem = make_account();
        lines out = {0};
        chain c;
        int64_t parts = 0;
        for (int64_t i = 0; i < MANY; i++) {
            rows[i] = (event){.t = many_windows ? i * 5 : 3,
                              .k = many_windows ? i % 5 : i,
                              .k_valid = true,
                              .i = 1};
        }
        CHECK_OK(chain_open(&c, &j, &r, 1, mem, &out, NULL));
        c.shard[0]->next = &c.end[0].op;
        const int64_t count = many_windows ? 20000 : MANY;
        for (int64_t at = 0; at < count; at += 50000) {
            ps_batch *batch =
                event_batch(c.side, c.input, rows + at, ps_min_i64(50000, count - at));
            const ps_message message = {.kind = PS_MESSAGE_BATCH, .batch = batch};
            CHECK_OK(ps_deliver(c.shard[0], &message, NULL));
            ps_batch_release(batch);
        }
        const ps_message last = {.kind = PS_MESSAGE_WATERMARK, .value = PS_TIME_MAX};
        CHECK_OK(ps_deliver(c.shard[0], &last, NULL));
        CHECK_EQ(out.count, 0); /* nothing leaves before it is asked for */
        all_answers_out(&c, &parts);
        CHECK_EQ(out.count, many_windows ? 20000 : MANY);
        CHECK(parts >= (many_windows ? 20000 / 1024 : 3));
        CHECK(c.end[0].largest_batch <= (many_windows ? 1024 : PS_BATCH_ROWS_MAX));
        CHECK_EQ(c.end[0].watermark, PS_TIME_MAX);
        chain_close(&c);
        lines_free(&out);
        settle(mem);
    }
}

/* Work that is left when another message comes is finished before that message counts. */
static void unasked_work_is_done_before_the_next_message(void)
{
    rng random = {1};
    for (size_t w = 0; w < WINDOW_COUNT; w++) {
        const job j = make_job(&SOME_WINDOWS[w], 5, 1, &SETS[w]);
        draw_events(rows, 300, 8, 3, 12, &random);
        lines want = oracle(&j, rows, 300);
        for (int resume = 0; resume < 3; resume++) {
            for (int64_t cut = 1; cut < 100; cut *= 9) {
                const run r = {.cut = cut, .shards = 1, .resume = resume};
                check_run(&j, &r, rows, 300, &want);
            }
        }
        lines_free(&want);
    }
}

/* The results of one shard come by window end, as they come. */
static void results_come_in_order_of_time(void)
{
    rng random = {2};
    for (size_t w = 0; w < WINDOW_COUNT; w++) {
        const job j = make_job(&SOME_WINDOWS[w], 6, 0, &SETS[0]);
        const run r = {.cut = 13, .shards = 1};
        ps_mem *mem = make_account();
        lines out = {0};
        chain c;
        draw_events(rows, 1000, 8, 3, 12, &random);
        CHECK_OK(chain_open(&c, &j, &r, 1, mem, &out, NULL));
        CHECK_OK(chain_feed(&c, rows, 1000, r.cut, NULL));
        CHECK_OK(chain_finish(&c, NULL));
        CHECK(out.count > 50);
        for (int64_t i = 1; i < out.count; i++) { /* global: one line a window */
            CHECK(strtoll(out.text[i - 1], NULL, 10) < strtoll(out.text[i], NULL, 10));
        }
        chain_close(&c);
        lines_free(&out);
        settle(mem);
    }
}

/* A window is out as soon as the watermark reaches its end, and not before. */
static void a_window_leaves_when_its_end_is_reached(void)
{
    const job j = make_job(&SOME_WINDOWS[0], 0, 0, &SETS[0]);
    const run r = {.cut = 1, .shards = 1};
    static const int64_t TIMES[] = {0, 9, 10, 19, 35};
    static const int64_t OUT[] = {0, 0, 1, 1, 2};
    ps_mem *mem = make_account();
    lines out = {0};
    chain c;
    CHECK_OK(chain_open(&c, &j, &r, 1, mem, &out, NULL));
    for (int i = 0; i < 5; i++) {
        rows[i] = (event){.t = TIMES[i]};
        CHECK_OK(chain_feed(&c, &rows[i], 1, 1, NULL));
        CHECK_EQ(out.count, OUT[i]);
        CHECK_EQ(c.end[0].watermark, TIMES[i]);
    }
    CHECK_OK(chain_finish(&c, NULL));
    CHECK_EQ(out.count, 3);
    CHECK_STR(out.text[0], "0|10|2|");
    CHECK_STR(out.text[2], "30|40|1|");
    chain_close(&c);
    lines_free(&out);
    settle(mem);
}

int main(void)
{
    RUN(parts_are_bounded);
    RUN(unasked_work_is_done_before_the_next_message);
    RUN(results_come_in_order_of_time);
    RUN(a_window_leaves_when_its_end_is_reached);
    return 0;
}
