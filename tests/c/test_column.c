/* test_column.c -- single values, slices and null counts of columns. */
#include "arrow_make.h"

static void strings_are_read_one_by_one(void)
{
    ps_mem *mem = make_account();
    ps_batch *mix = make_mix(mem, 40, 0);
    for (int c = MIX_TEXT; c <= MIX_VIEW; c++) {
        for (int64_t row = 0; row < 40; row++) {
            char want[MIX_TEXT_MAX];
            const int64_t size = mix_text(row, want);
            const ps_string got = ps_column_string(&mix->columns[c], row);
            const bool valid = row % (5 + c) != 4 + c;
            CHECK_EQ(ps_column_is_valid(&mix->columns[c], row), valid);
            CHECK_EQ(got.size_bytes, valid ? size : 0);
            CHECK(memcmp(got.data, want, (size_t)got.size_bytes) == 0);
        }
    }
    const ps_string fixed = ps_column_string(&mix->columns[MIX_FIXED], 3);
    CHECK_EQ(fixed.size_bytes, 3);
    CHECK_EQ(fixed.data[0], 9);
    CHECK_EQ(ps_column_string(&mix->columns[MIX_I64], 3).size_bytes, 0);
    ps_batch_release(mix);
    check_nothing_left(mem);
}

static void dictionary_indices_of_every_width(void)
{
    static const struct {
        uint8_t id;
        int8_t width;
    } types[] = {{PS_TYPE_INT8, 1},  {PS_TYPE_INT16, 2},  {PS_TYPE_INT32, 4},  {PS_TYPE_INT64, 8},
                 {PS_TYPE_UINT8, 1}, {PS_TYPE_UINT16, 2}, {PS_TYPE_UINT32, 4}, {PS_TYPE_UINT64, 8}};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        uint8_t values[32] = {0};
        values[types[i].width] = 7;
        const ps_column column = {
            .type = {.id = PS_TYPE_UTF8, .index = types[i].id}, .length = 2, .values = values};
        CHECK_EQ(ps_column_dictionary_index(&column, 0), 0);
        CHECK_EQ(ps_column_dictionary_index(&column, 1), 7);
        ps_column slice;
        ps_column_slice(&column, 1, 1, &slice);
        CHECK_EQ(ps_column_dictionary_index(&slice, 0), 7);
    }
}

static void nulls_are_counted_when_unknown(void)
{
    ps_mem *mem = make_account();
    ps_batch *mix = make_mix(mem, 100, 0);
    for (int32_t c = 0; c < MIX_COUNT; c++) {
        ps_column slice;
        const ps_column *column = &mix->columns[c];
        ps_column_slice(column, 7, 50, &slice);
        int64_t want = 0;
        for (int64_t row = 7; row < 57; row++) {
            want += column->type.id == PS_TYPE_NULL || !ps_column_is_valid(column, row);
        }
        CHECK_EQ(ps_column_count_nulls(&slice), want);
        ps_column_slice(column, 0, 100, &slice);
        CHECK_EQ(slice.null_count, column->null_count);
    }
    ps_batch_release(mix);
    check_nothing_left(mem);
}

int main(void)
{
    RUN(strings_are_read_one_by_one);
    RUN(dictionary_indices_of_every_width);
    RUN(nulls_are_counted_when_unknown);
    return 0;
}
