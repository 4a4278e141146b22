/* test_sink.c -- the sink hands everything to its outbox and counts what leaves. */
#include "check.h"
#include "flow.h"
#include "operators/sink.h"

static void everything_reaches_the_outbox_in_order(void)
{
    ps_mem *const mem = flow_begin();
    ps_schema *const schema = flow_ps_schema(mem);
    ps_outbox outbox;
    ps_operator *sink;
    CHECK_OK(ps_outbox_init(&outbox, mem, 1, NULL));
    CHECK_OK(ps_sink_create(mem, schema, &outbox, &sink, NULL));
    ps_message message = {.kind = PS_MESSAGE_BATCH, .batch = flow_batch(mem, 10, 0, 3)};
    CHECK_OK(ps_selection_create(mem, 5, &message.selection, NULL));
    for (uint32_t i = 0; i < 5; i++) {
        message.selection->rows[i] = i * 2;
    }
    message.selection->count = 5;
    CHECK_OK(ps_deliver(sink, &message, NULL));
    ps_message_clear(&message);
    for (int32_t kind = PS_MESSAGE_WATERMARK; kind <= PS_MESSAGE_END; kind++) {
        message = (ps_message){.kind = (ps_message_kind)kind, .value = 5};
        CHECK_OK(ps_deliver(sink, &message, NULL));
    }
    ps_fifo *const fifo = &outbox.targets[0].waiting;
    CHECK_EQ(fifo->rows, 5);
    for (int32_t kind = PS_MESSAGE_BATCH; kind <= PS_MESSAGE_END; kind++) {
        if (kind == PS_MESSAGE_IDLE || kind == PS_MESSAGE_WATERMARK) {
            continue; /* no result */
        }
        CHECK(ps_fifo_take(fifo, &message));
        CHECK_EQ(message.kind, kind);
        CHECK_EQ(message.value, kind == PS_MESSAGE_BARRIER ? 5 : 0);
        ps_message_clear(&message);
    }
    CHECK_EQ(ps_stat_get(&sink->stats.rows_in), 5);
    CHECK_EQ(ps_stat_get(&sink->stats.rows_out), 5);
    CHECK_EQ(ps_stat_get(&sink->stats.watermark), 5);
    CHECK(ps_stat_get(&sink->stats.bytes_out) >= 120);
    CHECK(ps_stat_get(&sink->stats.bytes_out) < 240);
    sink->calls->close(sink);
    ps_outbox_fini(&outbox);
    ps_schema_release(schema);
    flow_end(mem);
}

static void a_refused_message_leaks_nothing(void)
{
    ps_mem *const mem = flow_begin();
    ps_schema *const schema = flow_ps_schema(mem);
    ps_outbox outbox;
    ps_operator *sink;
    CHECK_OK(ps_outbox_init(&outbox, mem, 1, NULL));
    ps_mem_fail_at(mem, 1);
    CHECK_EQ(ps_sink_create(mem, schema, &outbox, &sink, NULL), PS_NO_MEMORY);
    CHECK_OK(ps_sink_create(mem, schema, &outbox, &sink, NULL));
    ps_message message = {.kind = PS_MESSAGE_BATCH, .batch = flow_batch(mem, 10, 0, 3)};
    ps_mem_fail_at(mem, 1);
    CHECK_EQ(ps_deliver(sink, &message, NULL), PS_NO_MEMORY);
    ps_message_clear(&message);
    sink->calls->close(sink);
    ps_outbox_fini(&outbox);
    ps_schema_release(schema);
    flow_end(mem);
}

int main(void)
{
    RUN(everything_reaches_the_outbox_in_order);
    RUN(a_refused_message_leaks_nothing);
    return 0;
}
