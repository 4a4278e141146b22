/* test_aggregate_schema.c -- result columns, their types and nullability; what is refused, and
 * how. */
#include "aggregate_chain.h"

static ps_mem *mem;
static ps_schema *input;
static ps_expr *expr;

static void begin(void)
{
    CHECK_OK(ps_mem_create(0, &mem, NULL));
    input = event_schema(mem);
    expr = column_nodes(mem);
}

static void end(void)
{
    ps_expr_destroy(expr);
    ps_schema_release(input);
    settle(mem);
}

static void check_field(const ps_schema *schema, int32_t index, const char *name, ps_type_id type,
                        bool nullable)
{
    CHECK(index < schema->field_count);
    CHECK_STR(schema->fields[index].name, name);
    CHECK_EQ(schema->fields[index].type.id, type);
    CHECK_EQ(schema->fields[index].nullable, nullable);
}

static ps_schema *schema_of(const job *j)
{
    const ps_aggregate_args args = job_args(j, expr);
    ps_schema *schema = NULL;
    CHECK_OK(ps_aggregate_schema(mem, input, &args, &schema, NULL));
    return schema;
}

static void columns_are_keys_window_and_results(void)
{
    static const ps_agg_spec SPECS[] = {COUNT_ROWS,  AGG(SUM, I),   AGG(MEAN, V), AGG(MIN, I),
                                        AGG(MAX, S), AGG(FIRST, T), AGG(ANY, B),  AGG(VAR, I)};
    const agg_set set = SET(SPECS);
    begin();
    const job j = make_job(&SOME_WINDOWS[2], 0, 2, &set);
    ps_schema *schema = schema_of(&j);
    CHECK_EQ(schema->field_count, 12);
    check_field(schema, 0, "key0", PS_TYPE_INT64, true);
    check_field(schema, 1, "key1", PS_TYPE_UTF8, true);
    check_field(schema, 2, "window_start", PS_TYPE_TIMESTAMP, false);
    check_field(schema, 3, "window_end", PS_TYPE_TIMESTAMP, false);
    CHECK_EQ(schema->fields[3].type.unit, PS_UNIT_US);
    check_field(schema, 4, "n", PS_TYPE_INT64, false);
    check_field(schema, 5, "SUMI", PS_TYPE_INT64, false);
    check_field(schema, 6, "MEANV", PS_TYPE_FLOAT64, true);
    check_field(schema, 7, "MINI", PS_TYPE_INT64, false);
    check_field(schema, 8, "MAXS", PS_TYPE_UTF8, true);
    check_field(schema, 9, "FIRSTT", PS_TYPE_TIMESTAMP, false);
    check_field(schema, 10, "ANYB", PS_TYPE_BOOL, true);
    check_field(schema, 11, "VARI", PS_TYPE_FLOAT64, true);
    ps_schema_release(schema);
    end();
}

/* The row of a global aggregate is there without any input: nothing but counts and sums is sure. */
static void a_global_result_may_be_null(void)
{
    static const ps_agg_spec SPECS[] = {COUNT_ROWS, AGG(SUM, I), AGG(MIN, I), AGG(LAST, T)};
    const agg_set set = SET(SPECS);
    begin();
    const job global = make_job(&NO_WINDOW, 0, 0, &set);
    ps_schema *schema = schema_of(&global);
    check_field(schema, 0, "n", PS_TYPE_INT64, false);
    check_field(schema, 1, "SUMI", PS_TYPE_INT64, false);
    check_field(schema, 2, "MINI", PS_TYPE_INT64, true);
    check_field(schema, 3, "LASTT", PS_TYPE_TIMESTAMP, true);
    ps_schema_release(schema);
    const job keyed = make_job(&NO_WINDOW, 0, 1, &set);
    schema = schema_of(&keyed);
    check_field(schema, 3, "MINI", PS_TYPE_INT64, false);
    ps_schema_release(schema);
    end();
}

static void refused(const ps_aggregate_args *args, ps_status want, const char *word)
{
    ps_schema *schema = NULL;
    ps_error err = {0};
    CHECK_EQ(ps_aggregate_schema(mem, input, args, &schema, &err), want);
    if (strstr(err.text, word) == NULL) {
        CHECK_FAIL("\"%s\" does not say \"%s\"", err.text, word);
    }
}

static void what_cannot_be_is_said(void)
{
    begin();
    const job plain = make_job(&SOME_WINDOWS[0], 0, 1, &SETS[1]);
    ps_aggregate_args args = job_args(&plain, expr);
    args.event_time = -1;
    refused(&args, PS_INVALID, "with_event_time");
    args = job_args(&plain, expr);
    args.window.size = 0;
    refused(&args, PS_INVALID, "size");
    args = job_args(&plain, expr);
    args.key_count = args.aggregate_count = 0;
    refused(&args, PS_INVALID, "a key or an aggregate");
    args = job_args(&plain, expr);
    args.key_names = (const char *const[]){"n"};
    refused(&args, PS_INVALID, "'n'");
    args.key_names = (const char *const[]){"window_end"};
    refused(&args, PS_INVALID, "'window_end'");
    args = job_args(&plain, expr);
    args.aggregates = &(const ps_agg_spec)AGG(MEAN, S);
    args.aggregate_count = 1;
    refused(&args, PS_TYPE, "utf8");
    args.aggregates = &(const ps_agg_spec){.function = PS_AGG_SUM, .name = "x", .input = -1};
    refused(&args, PS_INVALID, "'x' needs a column");
    args.aggregates = &(const ps_agg_spec){
        .function = PS_AGG_WEIGHTED_MEAN, .name = "x", .input = V, .weight = -1};
    refused(&args, PS_INVALID, "'x' needs a column");
    const job unwindowed = make_job(&NO_WINDOW, 0, 1, &SETS[4]);
    args = job_args(&unwindowed, expr);
    args.event_time = -1;
    refused(&args, PS_INVALID, "first and last");
    end();
}

static void too_many_keys_are_refused(void)
{
    static const char *const NAMES[17] = {"a", "b", "c", "d", "e", "f", "g", "h", "i",
                                          "j", "k", "l", "m", "o", "p", "q", "r"};
    const int32_t keys[17] = {0};
    begin();
    const job plain = make_job(&NO_WINDOW, 0, 0, &SETS[0]);
    ps_aggregate_args args = job_args(&plain, expr);
    args.keys = keys;
    args.key_names = NAMES;
    args.key_count = 17;
    refused(&args, PS_INVALID, "17");
    args.key_count = 16;
    ps_schema *schema = NULL;
    ps_operator *op = NULL;
    CHECK_OK(ps_aggregate_schema(mem, input, &args, &schema, NULL));
    CHECK_OK(ps_aggregate_create(mem, input, schema, &args, &op, NULL));
    op->calls->close(op);
    ps_schema_release(schema);
    end();
}

int main(void)
{
    RUN(columns_are_keys_window_and_results);
    RUN(a_global_result_may_be_null);
    RUN(what_cannot_be_is_said);
    RUN(too_many_keys_are_refused);
    return 0;
}
