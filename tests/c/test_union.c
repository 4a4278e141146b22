/* test_union.c -- ports merge watermarks, barriers and ends; batches pass in their order. */
#include "check.h"
#include "flow.h"
#include "operators/union.h"

static void ports_merge(void)
{
    ps_mem *const mem = flow_begin();
    ps_schema *const schema = flow_ps_schema(mem);
    flow_recorder last;
    flow_recorder_init(&last, mem, schema);
    ps_operator *op;
    CHECK_OK(ps_union_create(mem, schema, 2, &op, NULL));
    op->next = &last.base;
    ps_operator *const a = ps_union_port(op, 0);
    ps_operator *const b = ps_union_port(op, 1);
    ps_message message = {.kind = PS_MESSAGE_BATCH, .batch = flow_batch(mem, 4, 0, 3)};
    CHECK_OK(ps_deliver(a, &message, NULL));
    CHECK_OK(ps_deliver(b, &message, NULL));
    CHECK_OK(ps_deliver(a, &(ps_message){.kind = PS_MESSAGE_WATERMARK, .value = 9}, NULL));
    CHECK_OK(ps_deliver(b, &(ps_message){.kind = PS_MESSAGE_WATERMARK, .value = 4}, NULL));
    CHECK_OK(ps_deliver(a, &(ps_message){.kind = PS_MESSAGE_BARRIER, .value = 1}, NULL));
    CHECK_OK(ps_deliver(b, &(ps_message){.kind = PS_MESSAGE_BARRIER, .value = 1}, NULL));
    CHECK_OK(ps_deliver(b, &(ps_message){.kind = PS_MESSAGE_END}, NULL));
    CHECK_OK(ps_deliver(a, &message, NULL));
    CHECK_OK(ps_deliver(a, &(ps_message){.kind = PS_MESSAGE_WATERMARK, .value = 12}, NULL));
    CHECK_STR(last.log, "b4 b4 w4 B1 w9 b4 w12");
    CHECK_EQ(ps_stat_get(&op->stats.rows_in), 12);
    CHECK_EQ(ps_stat_get(&op->stats.rows_out), 12);
    last.log[0] = '\0';
    CHECK_OK(ps_deliver(a, &(ps_message){.kind = PS_MESSAGE_END}, NULL));
    CHECK_STR(last.log, "w9223372036854775807 e0");
    ps_message_clear(&message);
    op->calls->close(op);
    flow_close(&last.base);
    ps_schema_release(schema);
    flow_end(mem);
}

static void send_idle(ps_operator *port, bool idle)
{
    CHECK_OK(ps_deliver(port, &(ps_message){.kind = PS_MESSAGE_IDLE, .value = idle}, NULL));
}

static void idleness_passes_nested_unions(void)
{
    ps_mem *const mem = flow_begin();
    ps_schema *const schema = flow_ps_schema(mem);
    flow_recorder last;
    flow_recorder_init(&last, mem, schema);
    ps_operator *outer, *inner;
    CHECK_OK(ps_union_create(mem, schema, 2, &outer, NULL));
    CHECK_OK(ps_union_create(mem, schema, 2, &inner, NULL));
    outer->next = &last.base;
    inner->next = ps_union_port(outer, 0);
    ps_operator *const c = ps_union_port(outer, 1);
    CHECK_OK(ps_deliver(c, &(ps_message){.kind = PS_MESSAGE_WATERMARK, .value = 8}, NULL));
    send_idle(ps_union_port(inner, 0), true);
    CHECK_STR(last.log, ""); /* the other input of the inner one is awake */
    send_idle(ps_union_port(inner, 1), true);
    CHECK_STR(last.log, "w8");
    send_idle(c, true);
    send_idle(ps_union_port(inner, 1), false);
    CHECK_STR(last.log, "w8 i1 i0");
    inner->calls->close(inner);
    outer->calls->close(outer);
    flow_close(&last.base);
    ps_schema_release(schema);
    flow_end(mem);
}

static void entered_directly_it_passes_on(void)
{
    ps_mem *const mem = flow_begin();
    ps_schema *const schema = flow_ps_schema(mem);
    flow_recorder last;
    flow_recorder_init(&last, mem, schema);
    ps_operator *op;
    CHECK_OK(ps_union_create(mem, schema, 2, &op, NULL));
    op->next = &last.base;
    CHECK_OK(ps_deliver(op, &(ps_message){.kind = PS_MESSAGE_WATERMARK, .value = 9}, NULL));
    CHECK_OK(ps_deliver(op, &(ps_message){.kind = PS_MESSAGE_BARRIER, .value = 2}, NULL));
    CHECK_OK(ps_deliver(op, &(ps_message){.kind = PS_MESSAGE_END}, NULL));
    CHECK_STR(last.log, "w9 B2 e0");
    op->calls->close(op);
    flow_close(&last.base);
    ps_schema_release(schema);
    flow_end(mem);
}

static void refused_memory_is_an_error(void)
{
    ps_mem *const mem = flow_begin();
    ps_schema *const schema = flow_ps_schema(mem);
    ps_operator *op;
    for (int64_t nth = 1; nth <= 2; nth++) {
        ps_mem_fail_at(mem, nth);
        CHECK_EQ(ps_union_create(mem, schema, 2, &op, NULL), PS_NO_MEMORY);
    }
    ps_mem_fail_at(mem, 0);
    ps_schema_release(schema);
    flow_end(mem);
}

int main(void)
{
    RUN(ports_merge);
    RUN(idleness_passes_nested_unions);
    RUN(entered_directly_it_passes_on);
    RUN(refused_memory_is_an_error);
    return 0;
}
