/* test_agg_update.c -- the laws of agg.h: identity, order of combining, removal; lanes and
 * overflow. */
#include "state/agg.h"

#include "agg_model.h"

#define GROUPS 9

static agg_table table;

static ps_agg_layout *layout_of(ps_mem *mem, const ps_type *type, ps_agg_function only,
                                int32_t *count, ps_agg_function *functions)
{
    ps_agg_arg args[FUNCTION_COUNT];
    ps_agg_layout *layout = NULL;
    *count = 0;
    for (ps_agg_function f = PS_AGG_COUNT; f < FUNCTION_COUNT; f++) {
        if (agg_takes(f, type) && (only == FUNCTION_COUNT || f == only)) {
            functions[*count] = f;
            args[(*count)++] = agg_arg(f, type, true);
        }
    }
    CHECK_OK(ps_agg_layout_create(mem, args, *count, &layout, NULL));
    return layout;
}

/* Calls `body` with a layout of all functions of a type, for every type, over new random rows. */
typedef void law(ps_mem *mem, const ps_agg_layout *layout, const ps_agg_function *functions,
                 int32_t count, rng *random);

static void for_every_type(law *body, bool whole)
{
    rng random = {3};
    for (size_t k = 0; k + 1 < AGG_TYPE_COUNT; k++) {
        for (int round = 0; round < 12; round++) {
            ps_mem *mem = make_account();
            ps_agg_function functions[FUNCTION_COUNT];
            int32_t count = 0;
            ps_agg_layout *layout =
                layout_of(mem, &AGG_TYPES[k].type, FUNCTION_COUNT, &count, functions);
            agg_fill(&table, &AGG_TYPES[k].type, rng_between(&random, 5, 400), GROUPS,
                     round % 2 == 0, whole, &random);
            body(mem, layout, functions, count, &random);
            ps_agg_layout_destroy(layout);
            settle(mem);
        }
    }
}

static size_t row_bytes(const agg_rows *rows)
{
    return ps_agg_stride(rows->layout) * (size_t)rows->count;
}

static void identity_is_neutral(ps_mem *mem, const ps_agg_layout *layout,
                                const ps_agg_function *functions, int32_t count, rng *random)
{
    (void)functions, (void)count;
    agg_rows a, left, right, identity;
    agg_rows_init(&a, mem, layout, GROUPS);
    agg_rows_init(&left, mem, layout, GROUPS);
    agg_rows_init(&right, mem, layout, GROUPS);
    agg_rows_init(&identity, mem, layout, GROUPS);
    agg_rows_add_all(&a, &table, 0, table.count, random);
    memcpy(left.bytes, a.bytes, row_bytes(&a));
    CHECK_OK(ps_agg_combine(layout, left.bytes, identity.bytes, GROUPS, NULL));
    CHECK(memcmp(left.bytes, a.bytes, row_bytes(&a)) == 0);
    CHECK_OK(ps_agg_combine(layout, right.bytes, a.bytes, GROUPS, NULL));
    CHECK(memcmp(right.bytes, a.bytes, row_bytes(&a)) == 0);
    agg_rows_fini(&a);
    agg_rows_fini(&left);
    agg_rows_fini(&right);
    agg_rows_fini(&identity);
}

static void law_1_identity_changes_no_bit(void)
{
    for_every_type(identity_is_neutral, false);
}

/* Groups of NaN alone and of -0.0 alone, whose bits an identity could spoil. */
static void law_1_holds_for_nan_and_minus_zero(void)
{
    ps_mem *mem = make_account();
    rng random = {5};
    ps_agg_function functions[FUNCTION_COUNT];
    int32_t count = 0;
    ps_agg_layout *layout = layout_of(mem, &AGG_TYPES[3].type, FUNCTION_COUNT, &count, functions);
    table = (agg_table){.kind = PS_CLASS_F64, .count = 20};
    for (int i = 0; i < 20; i++) {
        table.groups[i] = (uint32_t)i % 2;
        table.numbers[i] = i % 2 == 0 ? NAN : -0.0;
    }
    identity_is_neutral(mem, layout, functions, count, &random);
    ps_agg_layout_destroy(layout);
    settle(mem);
}

/* Parts in arrival order, combined left to right and right to left. */
static void parts_make_the_whole(ps_mem *mem, const ps_agg_layout *layout,
                                 const ps_agg_function *functions, int32_t count, rng *random)
{
    enum { PARTS = 4 };
    agg_rows parts[PARTS], left, right;
    int64_t borders[PARTS + 1] = {0};
    for (int i = 0; i < PARTS; i++) {
        borders[i + 1] =
            i == PARTS - 1 ? table.count : rng_between(random, borders[i], table.count);
        agg_rows_init(&parts[i], mem, layout, GROUPS);
        agg_rows_add_all(&parts[i], &table, borders[i], borders[i + 1], random);
    }
    agg_rows_init(&left, mem, layout, GROUPS);
    agg_rows_init(&right, mem, layout, GROUPS);
    for (int i = 0; i < PARTS; i++) {
        CHECK_OK(ps_agg_combine(layout, left.bytes, parts[i].bytes, GROUPS, NULL));
    }
    for (int i = PARTS; i-- > 0;) {
        CHECK_OK(ps_agg_combine(layout, parts[i].bytes, right.bytes, GROUPS, NULL));
        memcpy(right.bytes, parts[i].bytes, row_bytes(&right));
    }
    for (int32_t k = 0; k < count; k++) { /* sums of whole floats are exact */
        const bool moments = functions[k] == PS_AGG_VAR || functions[k] == PS_AGG_STD;
        agg_rows_check(&left, k, functions[k], &table, 0, table.count, moments ? 1e-9 : 0.0);
        agg_rows_check(&right, k, functions[k], &table, 0, table.count, moments ? 1e-9 : 0.0);
    }
    agg_rows_fini(&left);
    agg_rows_fini(&right);
    for (int i = 0; i < PARTS; i++) {
        agg_rows_fini(&parts[i]);
    }
}

static void law_2_combining_is_associative(void)
{
    for_every_type(parts_make_the_whole, true);
}

static void law_3_removal_is_exact(void)
{
    rng random = {4};
    int invertible = 0;
    for (size_t k = 0; k + 1 < AGG_TYPE_COUNT; k++) {
        for (ps_agg_function f = PS_AGG_COUNT; f < FUNCTION_COUNT; f++) {
            if (!agg_takes(f, &AGG_TYPES[k].type)) {
                continue;
            }
            ps_mem *mem = make_account();
            ps_agg_function functions[FUNCTION_COUNT];
            int32_t count = 0;
            ps_agg_layout *layout = layout_of(mem, &AGG_TYPES[k].type, f, &count, functions);
            const bool want =
                f == PS_AGG_COUNT || f == PS_AGG_COUNT_VALID ||
                (f == PS_AGG_SUM && ps_type_class(&AGG_TYPES[k].type) != PS_CLASS_F64);
            CHECK_EQ(ps_agg_invertible(layout), want);
            if (want) {
                agg_rows a, b, total;
                agg_fill(&table, &AGG_TYPES[k].type, 200, GROUPS, true, false, &random);
                agg_rows_init(&a, mem, layout, GROUPS);
                agg_rows_init(&b, mem, layout, GROUPS);
                agg_rows_init(&total, mem, layout, GROUPS);
                agg_rows_add_all(&a, &table, 0, 90, &random);
                agg_rows_add_all(&b, &table, 90, 200, &random);
                CHECK_OK(ps_agg_combine(layout, total.bytes, a.bytes, GROUPS, NULL));
                CHECK_OK(ps_agg_combine(layout, total.bytes, b.bytes, GROUPS, NULL));
                ps_agg_remove(layout, total.bytes, b.bytes, GROUPS);
                CHECK(memcmp(total.bytes, a.bytes, row_bytes(&a)) == 0);
                ps_agg_remove(layout, total.bytes, a.bytes, GROUPS);
                for (int64_t g = 0; g < GROUPS; g++) { /* empty again: the identity */
                    CHECK(memcmp(agg_rows_at(&total, g), ps_agg_identity(layout),
                                 ps_agg_stride(layout)) == 0);
                }
                agg_rows_fini(&a);
                agg_rows_fini(&b);
                agg_rows_fini(&total);
                invertible++;
            }
            ps_agg_layout_destroy(layout);
            settle(mem);
        }
    }
    CHECK(invertible > 15);
}

static void lanes_bring_rows_back(ps_mem *mem, const ps_agg_layout *layout,
                                  const ps_agg_function *functions, int32_t count, rng *random)
{
    static ps_vector_scratch scratch;
    agg_rows a, b;
    const uint8_t *from[GROUPS];
    uint8_t *to[GROUPS];
    agg_rows_init(&a, mem, layout, GROUPS);
    agg_rows_init(&b, mem, layout, GROUPS);
    agg_rows_add_all(&a, &table, 0, table.count, random);
    for (int64_t g = 0; g < GROUPS; g++) {
        from[g] = agg_rows_at(&a, g);
        to[g] = agg_rows_at(&b, g);
    }
    for (int32_t lane = 0; lane < ps_agg_lane_count(layout); lane++) {
        char name[96];
        ps_type type;
        ps_vector vector;
        ps_agg_lane_describe(layout, lane, name, sizeof name, &type);
        ps_agg_lane_save(layout, lane, from, GROUPS, &scratch, &vector);
        CHECK_EQ(ps_type_class(&type), vector.kind);
        CHECK(strchr(name, '.') != NULL);
        for (int32_t other = 0; other < lane; other++) {
            char other_name[96];
            ps_agg_lane_describe(layout, other, other_name, sizeof other_name, &type);
            CHECK(strcmp(name, other_name) != 0);
        }
        CHECK_OK(ps_agg_lane_load(layout, lane, &vector, to, GROUPS, &b.arena, NULL));
    }
    if (!ps_agg_keeps_strings(layout)) {
        CHECK(memcmp(a.bytes, b.bytes, row_bytes(&a)) == 0);
    }
    agg_rows_fini(&a); /* strings of b are its own */
    for (int32_t k = 0; k < count; k++) {
        const bool moments = functions[k] == PS_AGG_VAR || functions[k] == PS_AGG_STD;
        agg_rows_check(&b, k, functions[k], &table, 0, table.count, moments ? 1e-9 : 0.0);
    }
    agg_rows_fini(&b);
}

static void lanes_save_and_load_every_accumulator(void)
{
    for_every_type(lanes_bring_rows_back, false);
}

static void a_lane_of_another_type_is_corrupt(void)
{
    ps_mem *mem = make_account();
    ps_agg_function functions[FUNCTION_COUNT];
    int32_t count = 0;
    ps_agg_layout *layout = layout_of(mem, &AGG_TYPES[3].type, PS_AGG_SUM, &count, functions);
    agg_rows rows;
    const int64_t value = 1;
    const ps_vector wrong = {.kind = PS_CLASS_I64, .values = &value};
    ps_error err = {0};
    agg_rows_init(&rows, mem, layout, 1);
    CHECK_EQ(ps_agg_lane_count(layout), 2);
    CHECK_EQ(ps_agg_lane_load(layout, 1, &wrong, &rows.bytes, 1, &rows.arena, &err), PS_CORRUPT);
    CHECK(strstr(err.text, "'answer'") != NULL);
    agg_rows_fini(&rows);
    ps_agg_layout_destroy(layout);
    settle(mem);
}

/* Two values in one group, by update and by combine. */
static void overflows(size_t type, int64_t first, int64_t second, ps_status want)
{
    ps_mem *mem = make_account();
    ps_agg_function functions[FUNCTION_COUNT];
    int32_t count = 0;
    ps_agg_layout *layout = layout_of(mem, &AGG_TYPES[type].type, PS_AGG_SUM, &count, functions);
    agg_rows rows, other;
    table = (agg_table){.kind = ps_type_class(&AGG_TYPES[type].type)};
    table.words[0] = first;
    table.words[1] = second;
    for (int how = 0; how < 2; how++) {
        ps_error err = {0};
        agg_rows_init(&rows, mem, layout, 1);
        agg_rows_init(&other, mem, layout, 1);
        CHECK_OK(agg_rows_add(&rows, &table, 0, 1, &err));
        ps_status got;
        if (how == 0) {
            got = agg_rows_add(&rows, &table, 1, 1, &err);
        } else {
            CHECK_OK(agg_rows_add(&other, &table, 1, 1, &err));
            got = ps_agg_combine(layout, rows.bytes, other.bytes, 1, &err);
        }
        CHECK_EQ(got, want);
        if (want != PS_OK) {
            CHECK(strstr(err.text, "'answer'") != NULL);
            CHECK(strstr(err.text, type == 2 ? "uint64" : "int64") != NULL);
        }
        agg_rows_fini(&rows);
        agg_rows_fini(&other);
    }
    ps_agg_layout_destroy(layout);
    settle(mem);
}

static void sums_never_wrap(void)
{
    overflows(0, INT64_MAX, 1, PS_OVERFLOW);
    overflows(0, INT64_MIN, -1, PS_OVERFLOW);
    overflows(0, INT64_MAX - 1, 1, PS_OK);
    overflows(0, INT64_MIN, INT64_MAX, PS_OK);
    overflows(2, -1, 1, PS_OVERFLOW); /* the largest uint64 */
    overflows(2, -2, 1, PS_OK);
    overflows(7, INT64_MAX, INT64_MAX, PS_OVERFLOW);
}

static void refused_strings_are_an_error(void)
{
    rng random = {6};
    static const ps_agg_function KEEPING[] = {PS_AGG_MIN, PS_AGG_MAX, PS_AGG_FIRST, PS_AGG_LAST};
    for (int k = 0; k < 4; k++) {
        ps_mem *mem = make_account();
        ps_agg_function functions[FUNCTION_COUNT];
        int32_t count = 0;
        ps_agg_layout *layout = layout_of(mem, &AGG_TYPES[5].type, KEEPING[k], &count, functions);
        agg_rows rows;
        ps_error err = {0};
        CHECK(ps_agg_keeps_strings(layout));
        CHECK_EQ(ps_agg_needs_time(layout), k >= 2);
        agg_fill(&table, &AGG_TYPES[5].type, 50, GROUPS, false, false, &random);
        agg_rows_init(&rows, mem, layout, GROUPS);
        ps_mem_fail_at(mem, 1);
        CHECK_EQ(agg_rows_add(&rows, &table, 0, 50, &err), PS_NO_MEMORY);
        agg_rows_fini(&rows);
        ps_agg_layout_destroy(layout);
        settle(mem);
    }
}

int main(void)
{
    RUN(law_1_identity_changes_no_bit);
    RUN(law_1_holds_for_nan_and_minus_zero);
    RUN(law_2_combining_is_associative);
    RUN(law_3_removal_is_exact);
    RUN(lanes_save_and_load_every_accumulator);
    RUN(a_lane_of_another_type_is_corrupt);
    RUN(sums_never_wrap);
    RUN(refused_strings_are_an_error);
    return 0;
}
