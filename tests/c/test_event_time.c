/* test_event_time.c -- watermarks made from times, rows that are behind, and state out and back. */
#include "operators/event_time.h"

#include "flow.h"

#define TIME 2 /* column of flow.h; row n has time n * 1000 */

typedef struct chain {
    ps_mem *mem;
    ps_schema *schema;
    ps_operator *op;
    flow_recorder end;
} chain;

static ps_status create(chain *c, int32_t column, int64_t out_of_orderness, int64_t max_future,
                        ps_operator **out, ps_error *err)
{
    const ps_event_time_args args = {.column = column,
                                     .out_of_orderness = out_of_orderness,
                                     .max_future = max_future,
                                     .sources = {"ticks"},
                                     .source_count = 1};
    return ps_event_time_create(c->mem, c->schema, &args, out, err);
}

static void make(chain *c, int64_t out_of_orderness, int64_t max_future, ps_operator **out)
{
    CHECK_OK(create(c, TIME, out_of_orderness, max_future, out, NULL));
}

static void chain_begin(chain *c, int64_t out_of_orderness)
{
    c->mem = flow_begin();
    c->schema = flow_ps_schema(c->mem);
    make(c, out_of_orderness, 0, &c->op);
    flow_recorder_init(&c->end, c->mem, c->schema);
    c->op->next = &c->end.base;
}

static void chain_end(chain *c)
{
    c->op->calls->close(c->op);
    ps_operator_fini(&c->end.base);
    ps_schema_release(c->schema);
    flow_end(c->mem);
}

static void send_rows(chain *c, int64_t rows, int64_t first)
{
    ps_batch *batch = flow_batch(c->mem, rows, first, 3);
    CHECK_OK(ps_deliver(c->op, &(ps_message){.kind = PS_MESSAGE_BATCH, .batch = batch}, NULL));
    ps_batch_release(batch);
}

static void send(chain *c, ps_message_kind kind, int64_t value)
{
    CHECK_OK(ps_deliver(c->op, &(ps_message){.kind = kind, .value = value}, NULL));
}

static void the_watermark_follows_the_largest_time(void)
{
    chain c;
    chain_begin(&c, 2000);
    send_rows(&c, 10, 0);                     /* times up to 9000 */
    send_rows(&c, 4, 2);                      /* nothing larger: no new watermark */
    send(&c, PS_MESSAGE_WATERMARK, 50000000); /* somebody else's: dropped */
    send_rows(&c, 1, 10);
    send(&c, PS_MESSAGE_WATERMARK, PS_TIME_MAX);
    send(&c, PS_MESSAGE_BARRIER, 4);
    send(&c, PS_MESSAGE_END, 0);
    char want[128];
    snprintf(want, sizeof want, "b10 w7000 b4 b1 w8000 w%" PRId64 " B4 e0", PS_TIME_MAX);
    CHECK_STR(c.end.log, want);
    chain_end(&c);
}

/* The last batch that passed, kept: what the operator says about times and late rows. */
typedef struct keeper {
    ps_operator base;
    ps_batch *batch;
} keeper;

static ps_status keep_batch(ps_operator *self, ps_batch *batch, ps_selection *selection,
                            ps_error *err)
{
    (void)selection, (void)err;
    keeper *k = (keeper *)self;
    ps_batch_release(k->batch);
    ps_batch_retain(batch);
    k->batch = batch;
    return PS_OK;
}

static ps_status keep_watermark(ps_operator *self, int64_t watermark, ps_error *err)
{
    (void)self, (void)watermark, (void)err;
    return PS_OK;
}

static void rows_behind_are_marked(void)
{
    static const ps_operator_calls calls = {
        .name = "keeper", .on_batch = keep_batch, .on_watermark = keep_watermark};
    chain c;
    chain_begin(&c, 3000);
    keeper k = {.batch = NULL};
    ps_operator_init(&k.base, &calls, c.mem, c.schema, c.schema);
    c.op->next = &k.base;
    send_rows(&c, 10, 0);
    CHECK(k.batch->has_times);
    CHECK_EQ(k.batch->time_low, 0);
    CHECK_EQ(k.batch->time_high, 9000);
    CHECK(k.batch->late_watermark == NULL); /* nobody is behind: no array is made */
    send_rows(&c, 6, 4);                    /* times 4000..9000 against the watermark 6000 */
    CHECK(k.batch->late_watermark != NULL);
    for (int64_t i = 0; i < 6; i++) {
        CHECK_EQ(k.batch->late_watermark[i], 6000);
    }
    ps_batch_release(k.batch);
    ps_operator_fini(&k.base);
    c.op->next = &c.end.base;
    chain_end(&c);
}

static void the_selection_alone_counts(void)
{
    chain c;
    chain_begin(&c, 0);
    ps_selection *some;
    CHECK_OK(ps_selection_create(c.mem, 2, &some, NULL));
    some->rows[some->count++] = 1;
    some->rows[some->count++] = 5;
    ps_batch *batch = flow_batch(c.mem, 10, 0, 3);
    CHECK_OK(ps_deliver(
        c.op, &(ps_message){.kind = PS_MESSAGE_BATCH, .batch = batch, .selection = some}, NULL));
    CHECK_STR(c.end.log, "b2 w5000");
    ps_batch_release(batch);
    ps_selection_release(some);
    chain_end(&c);
}

typedef struct collector {
    ps_snapshot_sink sink;
    ps_batch *state;
} collector;

static ps_status collect(ps_snapshot_sink *self, const ps_operator *op, ps_batch *state,
                         ps_error *err)
{
    (void)op, (void)err;
    collector *collected = (collector *)self;
    CHECK(collected->state == NULL);
    ps_batch_retain(state);
    collected->state = state;
    return PS_OK;
}

static void a_restored_watermark_goes_on(void)
{
    chain c;
    chain_begin(&c, 1000);
    collector collected = {.sink = {collect}};
    c.op->snapshot = &collected.sink;
    send_rows(&c, 8, 0);
    send(&c, PS_MESSAGE_BARRIER, 1);
    CHECK(collected.state == NULL);
    CHECK_OK(ps_operator_freeze(c.op, false, NULL));
    CHECK(collected.state != NULL);
    CHECK_EQ(collected.state->length, 1);
    CHECK_STR(collected.state->schema->fields[0].name, "largest_event_time");
    CHECK_EQ(flow_values(collected.state, 0)[0], 7000);

    ps_operator *second;
    flow_recorder end;
    make(&c, 1000, 0, &second);
    flow_recorder_init(&end, c.mem, c.schema);
    second->next = &end.base;
    CHECK_OK(second->calls->restore(second, collected.state, NULL));
    ps_batch *batch = flow_batch(c.mem, 1, 3, 3);
    CHECK_OK(ps_deliver(second, &(ps_message){.kind = PS_MESSAGE_BATCH, .batch = batch}, NULL));
    CHECK_STR(end.log, "b1 w6000"); /* from 7000, not from this batch's 3000 */
    CHECK_EQ(second->calls->restore(second, batch, NULL), PS_CORRUPT);
    ps_batch_release(batch);
    ps_batch_release(collected.state);
    second->calls->close(second);
    ps_operator_fini(&end.base);
    chain_end(&c);
}

static void rows_too_far_ahead_are_counted_and_remembered(void)
{
    chain c;
    chain_begin(&c, 1000);
    collector collected = {.sink = {collect}};
    ps_operator *guarded, *restored;
    make(&c, 1000, 20000, &guarded);
    make(&c, 1000, 20000, &restored);
    c.op->calls->close(c.op);
    c.op = guarded;
    guarded->next = restored->next = &c.end.base;
    guarded->snapshot = &collected.sink;
    send_rows(&c, 16, 0);   /* settles where time starts: the least, 0 */
    send_rows(&c, 16, 0);   /* up to 15000 */
    send_rows(&c, 10, 500); /* from 500000: too far ahead, and too few */
    CHECK_EQ(ps_stat_get(&guarded->stats.future_rows), 10);
    send(&c, PS_MESSAGE_BARRIER, 1);
    CHECK_STR(c.end.log, "b16 w-1000 b16 w14000 b10 B1");
    CHECK_OK(ps_operator_freeze(guarded, false, NULL));
    CHECK_OK(restored->calls->restore(restored, collected.state, NULL));
    guarded->calls->close(guarded);
    c.op = restored;
    c.end.log[0] = '\0';
    send_rows(&c, 6, 510); /* the sixteenth is among them: time has passed */
    CHECK_STR(c.end.log, "b6 w499000");
    ps_batch_release(collected.state);
    chain_end(&c);
}

static void wrong_input_is_named(void)
{
    chain c;
    chain_begin(&c, 0);
    ps_operator *other;
    ps_error err;
    CHECK_EQ(create(&c, 0, 0, 0, &other, &err), PS_TYPE);
    CHECK(strstr(err.text, "'key' must be a timestamp") != NULL);
    CHECK_EQ(create(&c, TIME, -1, 0, &other, &err), PS_INVALID);
    CHECK(strstr(err.text, "-1") != NULL);

    static const uint8_t all_but_one = 0xFB;
    ps_batch *batch = flow_batch(c.mem, 8, 0, 3);
    batch->columns[TIME].validity = &all_but_one;
    batch->columns[TIME].null_count = 1;
    const ps_message message = {.kind = PS_MESSAGE_BATCH, .batch = batch};
    CHECK_EQ(ps_deliver(c.op, &message, &err), PS_INVALID);
    CHECK(strstr(err.text, "event-time column 'time' has a null: row 2 of what 'ticks' gives (from "
                           "0, since this run began). Filter such rows out") != NULL);
    CHECK_STR(err.operator_name, "event_time");
    ps_selection *some;
    CHECK_OK(ps_selection_create(c.mem, 2, &some, NULL));
    some->rows[0] = 1;
    some->rows[1] = 2;
    some->count = 2;
    CHECK_EQ(c.op->calls->on_batch(c.op, batch, some, &err), PS_INVALID);
    CHECK(strstr(err.text, "row 7 of what") != NULL); /* 8 came, the last 2 of them now */
    ps_selection_release(some);
    batch->columns[TIME].validity = NULL;
    batch->columns[TIME].null_count = 0;

    const int64_t before = ps_mem_used(c.mem);
    ps_mem_fail_at(c.mem, 1);
    CHECK_EQ(ps_deliver(c.op, &message, &err), PS_NO_MEMORY);
    ps_mem_fail_at(c.mem, 0);
    CHECK_EQ(ps_mem_used(c.mem), before);
    ps_batch_release(batch);
    chain_end(&c);
}

int main(void)
{
    RUN(the_watermark_follows_the_largest_time);
    RUN(rows_behind_are_marked);
    RUN(the_selection_alone_counts);
    RUN(a_restored_watermark_goes_on);
    RUN(rows_too_far_ahead_are_counted_and_remembered);
    RUN(wrong_input_is_named);
    return 0;
}
