/* test_filter.c -- which rows pass, what is emitted and what is not, errors with their operator. */
#include "operators/filter.h"

#include "expr/program.h"
#include "flow.h"

/* value < below, over the rows of flow.h */
static ps_program *value_below(ps_mem *mem, ps_schema *schema, int64_t below)
{
    ps_expr *expr;
    ps_program *program;
    int32_t pair[2], root;
    CHECK_OK(ps_expr_create(mem, &expr, NULL));
    CHECK_OK(ps_expr_column(expr, "value", &pair[0], NULL));
    CHECK_OK(ps_expr_i64(expr, below, NULL, &pair[1], NULL));
    CHECK_OK(ps_expr_call(expr, "less", pair, 2, NULL, 0, &root, NULL));
    CHECK_OK(ps_program_compile(mem, expr, root, schema, &program, NULL));
    ps_expr_destroy(expr);
    return program;
}

static void test_batches_pass_on(void)
{
    ps_mem *mem = flow_begin();
    ps_schema *schema = flow_ps_schema(mem);
    ps_operator *filter;
    flow_recorder end;
    CHECK_OK(ps_filter_create(mem, schema, value_below(mem, schema, 1500), &filter, NULL));
    flow_recorder_init(&end, mem, schema);
    filter->next = &end.base;
    ps_selection *some;
    CHECK_OK(ps_selection_create(mem, 3, &some, NULL));
    for (uint32_t i = 0; i < 3; i++) {
        some->rows[some->count++] = 400 + 200 * i; /* values 1400, 1600, 1800 */
    }
    for (int64_t first = 0; first < 3000; first += 1000) { /* all, half and none of the rows */
        ps_batch *batch = flow_batch(mem, 1000, first, 10);
        CHECK_OK(ps_deliver(filter, &(ps_message){.kind = PS_MESSAGE_BATCH, .batch = batch}, NULL));
        if (first == 1000) {
            CHECK_OK(ps_deliver(
                filter, &(ps_message){.kind = PS_MESSAGE_BATCH, .batch = batch, .selection = some},
                NULL));
        }
        ps_batch_release(batch);
    }
    CHECK_OK(ps_deliver(filter, &(ps_message){.kind = PS_MESSAGE_WATERMARK, .value = 7}, NULL));
    CHECK_OK(ps_deliver(filter, &(ps_message){.kind = PS_MESSAGE_BARRIER, .value = 2}, NULL));
    CHECK_OK(ps_deliver(filter, &(ps_message){.kind = PS_MESSAGE_END}, NULL));
    CHECK_STR(end.log, "b1000 b500 b1 w7 B2 e0");
    CHECK_EQ(end.sum, 1499 * 1500 / 2 + 1400);
    CHECK_EQ(ps_stat_get(&filter->stats.rows_in), 3003);
    CHECK_EQ(ps_stat_get(&filter->stats.rows_out), 1501);
    filter->calls->close(filter);
    ps_operator_fini(&end.base);
    ps_selection_release(some);
    ps_schema_release(schema);
    flow_end(mem);
}

static void test_predicate_must_be_boolean(void)
{
    ps_mem *mem = flow_begin();
    ps_schema *schema = flow_ps_schema(mem);
    ps_expr *expr;
    ps_program *program;
    ps_operator *filter;
    ps_error err = {0};
    int32_t root;
    CHECK_OK(ps_expr_create(mem, &expr, NULL));
    CHECK_OK(ps_expr_column(expr, "value", &root, NULL));
    CHECK_OK(ps_program_compile(mem, expr, root, schema, &program, NULL));
    CHECK_EQ(ps_filter_create(mem, schema, program, &filter, &err), PS_TYPE);
    CHECK(strstr(err.text, "must be bool, not int64") != NULL);
    ps_program_destroy(program); /* it was not taken */
    ps_expr_destroy(expr);
    ps_schema_release(schema);
    flow_end(mem);
}

static void test_refused_memory_and_failures(void)
{
    ps_mem *mem = flow_begin();
    ps_schema *schema = flow_ps_schema(mem);
    ps_batch *batch = flow_batch(mem, 100, 0, 10);
    ps_operator *filter;
    flow_recorder end;
    ps_error err = {0};
    CHECK_OK(ps_filter_create(mem, schema, value_below(mem, schema, 50), &filter, NULL));
    flow_recorder_init(&end, mem, schema);
    filter->next = &end.base;
    const ps_message message = {.kind = PS_MESSAGE_BATCH, .batch = batch};
    const int64_t before = ps_mem_used(mem);
    ps_mem_fail_at(mem, 1);
    CHECK_EQ(ps_deliver(filter, &message, &err), PS_NO_MEMORY);
    CHECK_STR(err.operator_name, "filter");
    ps_mem_fail_at(mem, 0);
    end.fail = PS_INVALID;
    CHECK_EQ(ps_deliver(filter, &message, NULL), PS_INVALID);
    CHECK_EQ(ps_mem_used(mem), before);
    filter->calls->close(filter);
    ps_operator_fini(&end.base);
    ps_batch_release(batch);
    ps_schema_release(schema);
    flow_end(mem);
}

int main(void)
{
    RUN(test_batches_pass_on);
    RUN(test_predicate_must_be_boolean);
    RUN(test_refused_memory_and_failures);
    return 0;
}
