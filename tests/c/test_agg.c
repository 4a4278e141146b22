/* test_agg.c -- results and their types against recomputation; what is refused, and how. */
#include "state/agg.h"

#include "agg_model.h"

#define GROUPS 7

static agg_table table;

/* Functions that the type takes, and those alone. */
static int32_t args_of(const ps_type *type, bool nullable, ps_agg_arg *args)
{
    int32_t count = 0;
    for (ps_agg_function f = PS_AGG_COUNT; f < FUNCTION_COUNT; f++) {
        if (agg_takes(f, type)) {
            args[count++] = agg_arg(f, type, nullable);
        }
    }
    return count;
}

static void run_args(const ps_agg_arg *args, int32_t count, bool nulls, rng *random)
{
    ps_mem *mem = make_account();
    ps_agg_layout *layout = NULL;
    agg_rows rows;
    CHECK_OK(ps_agg_layout_create(mem, args, count, &layout, NULL));
    CHECK_EQ(ps_agg_stride(layout) % 8, 0);
    agg_fill(&table, &args[count - 1].input_type, rng_below(random, 2) * 2000 + 40, GROUPS, nulls,
             false, random);
    agg_rows_init(&rows, mem, layout, GROUPS + 1); /* the last one gets no row */
    agg_rows_add_all(&rows, &table, 0, table.count, random);
    for (int32_t k = 0; k < count; k++) {
        const bool moments = args[k].function == PS_AGG_VAR || args[k].function == PS_AGG_STD;
        agg_rows_check(&rows, k, args[k].function, &table, 0, table.count, moments ? 1e-9 : 0.0);
    }
    agg_rows_fini(&rows);
    ps_agg_layout_destroy(layout);
    settle(mem);
}

/* Alone, all together (shared accumulators), and with the columns in another order. */
static void every_function_on_every_type(void)
{
    rng random = {1};
    for (size_t k = 0; k + 1 < AGG_TYPE_COUNT; k++) {
        for (int mode = 0; mode < 3; mode++) {
            ps_agg_arg args[FUNCTION_COUNT], turned[FUNCTION_COUNT];
            const int32_t count = args_of(&AGG_TYPES[k].type, mode > 0, args);
            for (int32_t i = 0; i < count; i++) {
                turned[count - 1 - i] = args[i];
                run_args(&args[i], 1, mode == 2, &random);
            }
            /* COUNT alone knows no type: keep it off the end that tells it */
            ps_agg_arg swap = turned[0];
            turned[0] = turned[count - 1];
            turned[count - 1] = swap;
            for (int round = 0; round < 5; round++) {
                run_args(args, count, mode == 2, &random);
                run_args(turned, count, mode == 2, &random);
            }
        }
    }
}

/* count, sum, min and max of one float column have an update of their own. */
static void the_fused_update_agrees(void)
{
    rng random = {2};
    const ps_type *type = &AGG_TYPES[3].type;
    static const ps_agg_function ORDER[] = {PS_AGG_COUNT, PS_AGG_SUM, PS_AGG_MIN, PS_AGG_MAX,
                                            PS_AGG_MEAN};
    ps_agg_arg args[5];
    for (int mode = 0; mode < 3; mode++) {
        for (int32_t i = 0; i < 5; i++) {
            args[i] = agg_arg(ORDER[i], type, mode > 0);
        }
        for (int round = 0; round < 20; round++) {
            run_args(args, 4, mode == 2, &random);
            run_args(args, 5, mode == 2, &random);
        }
    }
}

static void extremes_reach_the_ends_of_their_types(void)
{
    ps_mem *mem = make_account();
    const ps_type types[] = {AGG_TYPES[0].type, AGG_TYPES[2].type};
    static const int64_t ENDS[][3] = {{INT64_MIN, INT64_MAX, 0}, {-1, 0, 7}};
    for (int k = 0; k < 2; k++) {
        const ps_agg_arg args[] = {agg_arg(PS_AGG_MIN, &types[k], true),
                                   agg_arg(PS_AGG_MAX, &types[k], true),
                                   agg_arg(PS_AGG_FIRST, &types[k], true)};
        ps_agg_layout *layout = NULL;
        agg_rows rows;
        CHECK_OK(ps_agg_layout_create(mem, args, 3, &layout, NULL));
        for (int only = 0; only < 4; only++) { /* each end alone, then all three */
            table = (agg_table){.kind = ps_type_class(&types[k]), .nulls = true};
            for (int i = 0; i < 3; i++) {
                table.words[i] = table.rows[i].word = ENDS[k][i];
                table.rows[i].valid = only == 3 || i == only;
                table.valid[i] = table.rows[i].valid;
            }
            agg_rows_init(&rows, mem, layout, 2);
            CHECK_OK(agg_rows_add(&rows, &table, 0, 3, NULL));
            for (int32_t i = 0; i < 3; i++) {
                agg_rows_check(&rows, i, args[i].function, &table, 0, 3, 0.0);
            }
            agg_rows_fini(&rows);
        }
        ps_agg_layout_destroy(layout);
    }
    settle(mem);
}

static void nan_counts_only_when_alone(void)
{
    ps_mem *mem = make_account();
    const ps_type *type = &AGG_TYPES[3].type;
    const ps_agg_arg args[] = {agg_arg(PS_AGG_MIN, type, true), agg_arg(PS_AGG_MAX, type, true)};
    static const double CASES[][3] = {{NAN, 2.0, 1.0}, {1.0, NAN, 2.0}, {2.0, 1.0, NAN},
                                      {NAN, NAN, NAN}, {NAN, 1.0, NAN}, {INFINITY, -INFINITY, NAN}};
    ps_agg_layout *layout = NULL;
    CHECK_OK(ps_agg_layout_create(mem, args, 2, &layout, NULL));
    for (size_t k = 0; k < sizeof CASES / sizeof CASES[0]; k++) {
        agg_rows rows;
        table = (agg_table){.kind = PS_CLASS_F64};
        for (int i = 0; i < 3; i++) {
            table.numbers[i] = table.rows[i].number = CASES[k][i];
            table.rows[i].valid = true;
        }
        agg_rows_init(&rows, mem, layout, 2);
        CHECK_OK(agg_rows_add(&rows, &table, 0, 3, NULL));
        agg_rows_check(&rows, 0, PS_AGG_MIN, &table, 0, 3, 0.0);
        agg_rows_check(&rows, 1, PS_AGG_MAX, &table, 0, 3, 0.0);
        agg_rows_fini(&rows);
    }
    ps_agg_layout_destroy(layout);
    settle(mem);
}

static void a_sum_of_nothing_is_plus_zero(void)
{
    ps_mem *mem = make_account();
    const ps_agg_arg arg = agg_arg(PS_AGG_SUM, &AGG_TYPES[3].type, true);
    static ps_vector_scratch scratch;
    ps_agg_layout *layout = NULL;
    ps_vector vector;
    CHECK_OK(ps_agg_layout_create(mem, &arg, 1, &layout, NULL));
    const uint8_t *identity = ps_agg_identity(layout);
    CHECK_OK(ps_agg_lower(layout, 0, &identity, 1, &scratch, &vector, NULL));
    CHECK(vector.valid == NULL);
    CHECK(((const double *)vector.values)[0] == 0.0 &&
          !signbit(((const double *)vector.values)[0]));
    ps_agg_layout_destroy(layout);
    settle(mem);
}

static void check_type(ps_agg_function function, size_t type, ps_type_id want, ps_unit unit)
{
    const ps_agg_arg arg = agg_arg(function, &AGG_TYPES[type].type, false);
    ps_type found;
    CHECK_OK(ps_agg_result_type(&arg, &found, NULL));
    CHECK_EQ(found.id, want);
    CHECK_EQ(found.unit, unit);
    CHECK_EQ(found.index, 0);
}

static void result_types_are_those_promised(void)
{
    enum { I64, I32, U64, F64, BOOL, TEXT, TIME, DURATION, DECIMAL };
    for (size_t k = 0; k < AGG_TYPE_COUNT; k++) {
        check_type(PS_AGG_COUNT, k, PS_TYPE_INT64, PS_UNIT_NONE);
        check_type(PS_AGG_COUNT_VALID, k, PS_TYPE_INT64, PS_UNIT_NONE);
    }
    check_type(PS_AGG_SUM, I32, PS_TYPE_INT64, PS_UNIT_NONE);
    check_type(PS_AGG_SUM, U64, PS_TYPE_UINT64, PS_UNIT_NONE);
    check_type(PS_AGG_SUM, F64, PS_TYPE_FLOAT64, PS_UNIT_NONE);
    check_type(PS_AGG_SUM, BOOL, PS_TYPE_INT64, PS_UNIT_NONE);
    check_type(PS_AGG_SUM, DURATION, PS_TYPE_DURATION, PS_UNIT_MS);
    check_type(PS_AGG_MEAN, I64, PS_TYPE_FLOAT64, PS_UNIT_NONE);
    check_type(PS_AGG_VAR, U64, PS_TYPE_FLOAT64, PS_UNIT_NONE);
    check_type(PS_AGG_MIN, I32, PS_TYPE_INT32, PS_UNIT_NONE);
    check_type(PS_AGG_MAX, TIME, PS_TYPE_TIMESTAMP, PS_UNIT_US);
    check_type(PS_AGG_MIN, TEXT, PS_TYPE_UTF8, PS_UNIT_NONE);
    check_type(PS_AGG_FIRST, DECIMAL, PS_TYPE_DECIMAL128, PS_UNIT_NONE);
    check_type(PS_AGG_LAST, BOOL, PS_TYPE_BOOL, PS_UNIT_NONE);
    check_type(PS_AGG_ANY, BOOL, PS_TYPE_BOOL, PS_UNIT_NONE);
    ps_agg_arg arg = agg_arg(PS_AGG_MAX, &AGG_TYPES[TEXT].type, false);
    arg.input_type.index = PS_TYPE_INT32; /* a dictionary gives its values */
    ps_type found;
    CHECK_OK(ps_agg_result_type(&arg, &found, NULL));
    CHECK_EQ(found.id, PS_TYPE_UTF8);
    CHECK_EQ(found.index, 0);
}

static void nullability_is_that_of_some_row(void)
{
    const ps_type *type = &AGG_TYPES[0].type;
    for (ps_agg_function f = PS_AGG_COUNT; f < FUNCTION_COUNT; f++) {
        const ps_agg_arg plain = agg_arg(f, type, false), nullable = agg_arg(f, type, true);
        const bool never = f == PS_AGG_COUNT || f == PS_AGG_COUNT_VALID || f == PS_AGG_SUM;
        const bool always = f == PS_AGG_VAR || f == PS_AGG_STD || f == PS_AGG_WEIGHTED_MEAN;
        CHECK_EQ(ps_agg_result_nullable(&plain), always);
        CHECK_EQ(ps_agg_result_nullable(&nullable), !never);
    }
}

static void wrong_types_are_named(void)
{
    static const char *const NAMES[] = {"count", "count_valid", "sum",     "mean",  "min",
                                        "max",   "var",         "std",     "first", "last",
                                        "any",   "all",         "weighted"};
    ps_mem *mem = make_account();
    int refused = 0;
    for (size_t k = 0; k < AGG_TYPE_COUNT; k++) {
        for (ps_agg_function f = PS_AGG_COUNT; f < FUNCTION_COUNT; f++) {
            const ps_agg_arg arg = agg_arg(f, &AGG_TYPES[k].type, false);
            ps_agg_layout *layout = NULL;
            ps_error err = {0};
            ps_type type;
            const ps_status status = ps_agg_layout_create(mem, &arg, 1, &layout, &err);
            CHECK_EQ(ps_agg_result_type(&arg, &type, NULL), status);
            CHECK_EQ(status, agg_takes(f, &AGG_TYPES[k].type) ? PS_OK : PS_TYPE);
            if (status != PS_OK) {
                refused++;
                CHECK(strstr(err.text, "'answer'") != NULL);
                CHECK(strstr(err.text, NAMES[f]) != NULL);
                CHECK(strstr(err.text, AGG_TYPES[k].name) != NULL);
            }
            ps_agg_layout_destroy(layout);
        }
    }
    CHECK(refused > 30);
    ps_agg_arg arg = agg_arg(PS_AGG_WEIGHTED_MEAN, &AGG_TYPES[0].type, false);
    ps_error err = {0};
    ps_type type;
    arg.weight_type = AGG_TYPES[5].type;
    CHECK_EQ(ps_agg_result_type(&arg, &type, &err), PS_TYPE);
    CHECK(strstr(err.text, "weight") != NULL && strstr(err.text, "utf8") != NULL);
    settle(mem);
}

static size_t stride_of(const ps_agg_arg *args, int32_t count)
{
    ps_mem *mem = make_account();
    ps_agg_layout *layout = NULL;
    CHECK_OK(ps_agg_layout_create(mem, args, count, &layout, NULL));
    const size_t stride = ps_agg_stride(layout);
    ps_agg_layout_destroy(layout);
    settle(mem);
    return stride;
}

static void equal_accumulators_are_shared(void)
{
    const ps_type *type = &AGG_TYPES[3].type;
    const ps_agg_arg args[] = {agg_arg(PS_AGG_COUNT, type, false), agg_arg(PS_AGG_SUM, type, false),
                               agg_arg(PS_AGG_MEAN, type, false), agg_arg(PS_AGG_MIN, type, false),
                               agg_arg(PS_AGG_COUNT_VALID, type, false)};
    CHECK_EQ(stride_of(args, 1), 8);
    CHECK_EQ(stride_of(args, 3), 16);
    CHECK_EQ(stride_of(args, 5), 32);
    CHECK_EQ(stride_of(args, 0), 8); /* keys alone: the groups there are */
}

static void refused_memory_leaks_nothing(void)
{
    ps_agg_arg args[FUNCTION_COUNT];
    const int32_t count = args_of(&AGG_TYPES[3].type, true, args);
    ps_status status = PS_NO_MEMORY;
    for (int64_t n = 1; status != PS_OK; n++) {
        ps_mem *mem = make_account();
        ps_agg_layout *layout = NULL;
        ps_mem_fail_at(mem, n);
        status = ps_agg_layout_create(mem, args, count, &layout, NULL);
        CHECK(status == PS_OK || status == PS_NO_MEMORY);
        CHECK(n > 1 || status != PS_OK);
        ps_agg_layout_destroy(status == PS_OK ? layout : NULL);
        settle(mem);
    }
}

int main(void)
{
    RUN(every_function_on_every_type);
    RUN(the_fused_update_agrees);
    RUN(extremes_reach_the_ends_of_their_types);
    RUN(nan_counts_only_when_alone);
    RUN(a_sum_of_nothing_is_plus_zero);
    RUN(result_types_are_those_promised);
    RUN(nullability_is_that_of_some_row);
    RUN(wrong_types_are_named);
    RUN(equal_accumulators_are_shared);
    RUN(refused_memory_leaks_nothing);
    return 0;
}
