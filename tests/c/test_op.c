/* test_op.c -- the helpers of the operator contract: counting, passing on, naming errors. */
#include "check.h"
#include "flow.h"

static void emits_count_and_pass_on(void)
{
    ps_mem *const mem = flow_begin();
    ps_schema *const schema = flow_ps_schema(mem);
    flow_recorder first;
    flow_recorder last;
    flow_recorder_init(&first, mem, schema);
    flow_recorder_init(&last, mem, schema);
    first.base.next = &last.base;
    ps_batch *const batch = flow_batch(mem, 10, 0, 3);
    ps_selection *selection;
    CHECK_OK(ps_selection_create(mem, 3, &selection, NULL));
    CHECK_OK(ps_emit_batch(&first.base, batch, NULL, NULL));
    CHECK_OK(ps_emit_batch(&first.base, batch, selection, NULL)); /* no rows: goes nowhere */
    selection->rows[0] = 4;
    selection->rows[1] = 9;
    selection->count = 2;
    CHECK_OK(ps_emit_batch(&first.base, batch, selection, NULL));
    CHECK_OK(ps_emit_watermark(&first.base, 7, NULL));
    CHECK_OK(ps_emit_idle(&first.base, true, NULL));
    CHECK_OK(ps_emit_barrier(&first.base, 1, NULL));
    CHECK_OK(ps_emit_end(&first.base, NULL));
    CHECK_STR(last.log, "b10 b2 w7 i1 B1 e0");
    CHECK_EQ(last.sum, 45 + 13);
    CHECK_EQ(first.base.emitted, 6);
    CHECK_EQ(ps_stat_get(&first.base.stats.rows_out), 12);
    CHECK_EQ(ps_stat_get(&first.base.stats.batches_out), 2);
    CHECK_EQ(ps_stat_get(&first.base.stats.watermark), 7);
    CHECK_EQ(ps_stat_get(&last.base.stats.rows_in), 12);
    CHECK_EQ(ps_stat_get(&last.base.stats.batches_in), 2);
    CHECK_EQ(ps_stat_get(&last.base.stats.watermark), PS_TIME_MIN);
    ps_selection_release(selection);
    ps_batch_release(batch);
    flow_close(&first.base);
    flow_close(&last.base);
    ps_schema_release(schema);
    flow_end(mem);
}

static void deliver_reaches_the_right_call(void)
{
    ps_mem *const mem = flow_begin();
    ps_schema *const schema = flow_ps_schema(mem);
    flow_recorder last;
    flow_recorder_init(&last, mem, schema);
    ps_message message = {.kind = PS_MESSAGE_BATCH, .batch = flow_batch(mem, 4, 0, 3)};
    CHECK_OK(ps_deliver(&last.base, &message, NULL));
    ps_message_clear(&message);
    for (int32_t kind = PS_MESSAGE_WATERMARK; kind <= PS_MESSAGE_END; kind++) {
        message = (ps_message){.kind = (ps_message_kind)kind, .value = 5};
        CHECK_OK(ps_deliver(&last.base, &message, NULL));
    }
    CHECK_STR(last.log, "b4 w5 i1 B5 e0");
    ps_error err;
    message.kind = PS_MESSAGE_NONE;
    CHECK_EQ(ps_deliver(&last.base, &message, &err), PS_INTERNAL);
    flow_close(&last.base);
    ps_schema_release(schema);
    flow_end(mem);
}

static void who_has_no_call_for_idleness_passes_it_on(void)
{
    static const ps_operator_calls calls = {.name = "plain"};
    ps_mem *const mem = flow_begin();
    ps_schema *const schema = flow_ps_schema(mem);
    flow_recorder last;
    flow_recorder_init(&last, mem, schema);
    ps_operator first;
    ps_operator_init(&first, &calls, mem, schema, schema);
    first.next = &last.base;
    CHECK_OK(ps_deliver(&first, &(ps_message){.kind = PS_MESSAGE_IDLE, .value = 1}, NULL));
    CHECK_OK(ps_deliver(&first, &(ps_message){.kind = PS_MESSAGE_IDLE, .value = 0}, NULL));
    CHECK_STR(last.log, "i1 i0");
    ps_operator_fini(&first);
    flow_close(&last.base);
    ps_schema_release(schema);
    flow_end(mem);
}

static void errors_carry_the_name_of_their_operator(void)
{
    ps_mem *const mem = flow_begin();
    ps_schema *const schema = flow_ps_schema(mem);
    flow_recorder last;
    flow_recorder_init(&last, mem, schema);
    last.fail = PS_OVERFLOW;
    ps_message message = {.kind = PS_MESSAGE_BATCH, .batch = flow_batch(mem, 4, 0, 3)};
    ps_error err;
    ps_error_clear(&err);
    CHECK_EQ(ps_deliver(&last.base, &message, &err), PS_OVERFLOW);
    CHECK_STR(err.operator_name, "recorder");
    CHECK_STR(err.text, "asked to fail");
    CHECK_EQ(ps_deliver(&last.base, &message, NULL), PS_OVERFLOW);
    ps_message_clear(&message);
    flow_close(&last.base);
    ps_schema_release(schema);
    flow_end(mem);
}

int main(void)
{
    RUN(emits_count_and_pass_on);
    RUN(deliver_reaches_the_right_call);
    RUN(who_has_no_call_for_idleness_passes_it_on);
    RUN(errors_carry_the_name_of_their_operator);
    return 0;
}
