/* test_snapshot_row.c -- a row of numbers becomes a batch of state, or leaves nothing behind. */
#include "operators/snapshot_row.h"

#include "flow.h"

typedef struct collector {
    ps_snapshot_sink sink;
    int32_t operator_id;
    ps_batch *state;
} collector;

static ps_status collect(ps_snapshot_sink *self, const ps_operator *op, ps_batch *state,
                         ps_error *err)
{
    (void)err;
    collector *collected = (collector *)self;
    ps_batch_retain(state);
    collected->operator_id = op->id;
    collected->state = state;
    return PS_OK;
}

static void one_row_with_names_and_values(void)
{
    static const char *const names[] = {"position", "epoch"};
    static const int64_t values[] = {INT64_MIN, INT64_MAX};
    ps_mem *mem = flow_begin();
    ps_schema *schema = flow_ps_schema(mem);
    flow_recorder op;
    collector collected = {.sink = {collect}};
    flow_recorder_init(&op, mem, schema);
    op.base.id = 17;
    op.base.snapshot = &collected.sink;
    CHECK_OK(ps_snapshot_add_row(&op.base, names, values, 2, NULL));
    CHECK_EQ(collected.operator_id, 17);
    CHECK_EQ(collected.state->length, 1);
    CHECK_EQ(collected.state->column_count, 2);
    for (int32_t i = 0; i < 2; i++) {
        CHECK_STR(collected.state->schema->fields[i].name, names[i]);
        CHECK_EQ(collected.state->columns[i].type.id, PS_TYPE_INT64);
        CHECK_EQ(flow_values(collected.state, i)[0], values[i]);
    }
    ps_batch_release(collected.state);
    ps_operator_fini(&op.base);
    ps_schema_release(schema);
    flow_end(mem);
}

static void refused_memory_leaves_nothing(void)
{
    static const char *const names[] = {"position"};
    static const int64_t value = 5;
    ps_mem *mem = flow_begin();
    ps_schema *schema = flow_ps_schema(mem);
    flow_recorder op;
    collector collected = {.sink = {collect}};
    flow_recorder_init(&op, mem, schema);
    op.base.snapshot = &collected.sink;
    const int64_t before = ps_mem_used(mem);
    ps_status status = PS_NO_MEMORY;
    int64_t refused = 0;
    for (; status != PS_OK; refused++) {
        ps_mem_fail_at(mem, refused + 1);
        status = ps_snapshot_add_row(&op.base, names, &value, 1, NULL);
        ps_mem_fail_at(mem, 0);
        CHECK(status == PS_OK || status == PS_NO_MEMORY);
        CHECK(status == PS_OK || ps_mem_used(mem) == before);
    }
    CHECK(refused > 2);
    CHECK_EQ(flow_values(collected.state, 0)[0], 5);
    ps_batch_release(collected.state);
    ps_operator_fini(&op.base);
    ps_schema_release(schema);
    flow_end(mem);
}

int main(void)
{
    RUN(one_row_with_names_and_values);
    RUN(refused_memory_leaves_nothing);
    return 0;
}
