/* test_writer.c -- vectors written to columns and read back; ranges, bounds, refused memory. */
#include "arrow_make.h"

static ps_vector_scratch scratch;

/* Reads a column in uneven chunks and writes it again with its plain type. */
static ps_status rewrite(ps_mem *mem, const ps_column *column, ps_column *out, ps_error *err)
{
    ps_type type = column->type;
    type.index = 0;
    ps_writer *writer = NULL;
    PS_TRY(ps_writer_create(mem, &type, column->length, &writer, err));
    int64_t count = 1;
    for (int64_t at = 0; at < column->length; at += count) {
        count = ps_min_i64(column->length - at, (at * 5 + 1) % 97 + 1);
        ps_vector vector;
        ps_vector_load(column, NULL, at, count, &scratch, &vector);
        const ps_status status = ps_writer_append(writer, &vector, count, err);
        if (status != PS_OK) {
            ps_writer_destroy(writer);
            return status;
        }
    }
    return ps_writer_finish(writer, out, err);
}

static void what_is_loaded_can_be_written(void)
{
    ps_mem *mem = make_account();
    for (int64_t rows = 0; rows < 500; rows = rows * 4 + 1) {
        ps_batch *mix = make_mix(mem, rows, 0);
        for (int32_t c = 0; c < MIX_COUNT; c++) {
            if (mix->columns[c].type.id == PS_TYPE_OPAQUE) {
                continue;
            }
            ps_column column;
            char want[128], got[128];
            CHECK_OK(rewrite(mem, &mix->columns[c], &column, NULL));
            CHECK_EQ(column.length, rows);
            CHECK_EQ(column.null_count, ps_column_count_nulls(&mix->columns[c]));
            for (int64_t i = 0; i < rows; i++) {
                cell_text(&mix->columns[c], i, want, sizeof(want));
                cell_text(&column, i, got, sizeof(got));
                CHECK_STR(got, want);
            }
            ps_owner_release(column.owner);
        }
        ps_batch_release(mix);
    }
    check_nothing_left(mem);
}

/* Written columns leave the engine: through the C interface and back. */
static void written_columns_can_be_exported(void)
{
    ps_mem *mem = make_account();
    ps_batch *mix = make_mix(mem, 100, 0), *plain = NULL, *slice = NULL, *again = NULL;
    ps_schema_builder *builder = NULL;
    ps_schema *schema = NULL;
    CHECK_OK(ps_schema_builder_create(mem, MIX_DICT, &builder, NULL));
    for (int32_t c = 0; c < MIX_DICT; c++) {
        CHECK_OK(ps_schema_builder_copy(builder, &mix->schema->fields[c], NULL, NULL));
    }
    CHECK_OK(ps_schema_builder_finish(builder, &schema, NULL));
    CHECK_OK(ps_batch_create(mem, schema, 100, &plain, NULL));
    for (int32_t c = 0; c < MIX_DICT; c++) {
        ps_column column;
        CHECK_OK(rewrite(mem, &mix->columns[c], &column, NULL));
        ps_batch_set(plain, c, &column);
        ps_owner_release(column.owner);
    }
    ArrowArray out;
    CHECK_OK(ps_batch_slice(plain, 13, 50, &slice, NULL));
    CHECK_OK(ps_batch_export(slice, &out, NULL));
    CHECK_OK(ps_batch_import(mem, schema, &out, NULL, &again, NULL));
    check_batch_rows(plain, NULL, 13, again);
    ps_schema_release(schema);
    ps_batch_release(mix);
    ps_batch_release(plain);
    ps_batch_release(slice);
    ps_batch_release(again);
    check_nothing_left(mem);
}

/* Three values, `value` in the middle; null_row < 0: none is null. */
static ps_status write_i64(ps_mem *mem, ps_type_id id, int32_t width, int64_t value, int null_row,
                           ps_error *err)
{
    const ps_type type = {.id = (uint8_t)id, .width = width, .unit = PS_UNIT_S};
    const int64_t values[] = {1, value, 2};
    const uint8_t valid[] = {null_row != 0, null_row != 1, 1};
    const ps_vector vector = {ps_type_class(&type), values, null_row >= 0 ? valid : NULL};
    ps_writer *writer = NULL;
    CHECK_OK(ps_writer_create(mem, &type, 3, &writer, NULL));
    const ps_status status = ps_writer_append(writer, &vector, 3, err);
    if (status == PS_OK) {
        ps_column column;
        CHECK_OK(ps_writer_finish(writer, &column, NULL));
        CHECK_EQ(column.null_count, null_row >= 0);
        ps_owner_release(column.owner);
    } else {
        ps_writer_destroy(writer);
    }
    return status;
}

static void integers_have_to_fit(void)
{
    ps_mem *mem = make_account();
    static const struct {
        ps_type_id id;
        int32_t width;
        int64_t least, most; /* as int64, even for unsigned types */
        const char *text;
    } cases[] = {
        {PS_TYPE_INT8, 1, INT8_MIN, INT8_MAX, "the value 128 does not fit int8"},
        {PS_TYPE_INT16, 2, INT16_MIN, INT16_MAX, "the value 32768 does not fit int16"},
        {PS_TYPE_INT32, 4, INT32_MIN, INT32_MAX, "the value 2147483648 does not fit int32"},
        {PS_TYPE_DATE32, 4, INT32_MIN, INT32_MAX, "the value 2147483648 does not fit date32"},
        {PS_TYPE_TIME32, 4, INT32_MIN, INT32_MAX, "the value 2147483648 does not fit time32[s]"},
        {PS_TYPE_UINT8, 1, 0, UINT8_MAX, "the value 256 does not fit uint8"},
        {PS_TYPE_UINT16, 2, 0, UINT16_MAX, "the value 65536 does not fit uint16"},
        {PS_TYPE_UINT32, 4, 0, UINT32_MAX, "the value 4294967296 does not fit uint32"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ps_error err;
        const ps_type_id id = cases[i].id;
        const int32_t width = cases[i].width;
        CHECK_OK(write_i64(mem, id, width, cases[i].least, -1, NULL));
        CHECK_OK(write_i64(mem, id, width, cases[i].most, -1, NULL));
        CHECK_EQ(write_i64(mem, id, width, cases[i].least - 1, -1, NULL), PS_OVERFLOW);
        CHECK_EQ(write_i64(mem, id, width, cases[i].most + 1, -1, &err), PS_OVERFLOW);
        CHECK_STR(err.text, cases[i].text);
        CHECK_OK(write_i64(mem, id, width, cases[i].most + 1, 1, NULL)); /* it is null */
        CHECK_EQ(write_i64(mem, id, width, cases[i].most + 1, 0, &err), PS_OVERFLOW);
        CHECK_STR(err.text, cases[i].text);
    }
    CHECK_OK(write_i64(mem, PS_TYPE_INT64, 8, INT64_MIN, -1, NULL));
    check_nothing_left(mem);
}

static void views_of_short_strings_have_no_data(void)
{
    ps_mem *mem = make_account();
    const ps_type type = {.id = PS_TYPE_UTF8_VIEW};
    const ps_string strings[] = {{"twelve bytes", 12}, {"", 0}};
    const ps_vector vector = {PS_CLASS_STR, strings, NULL};
    ps_writer *writer = NULL;
    ps_column column;
    CHECK_OK(ps_writer_create(mem, &type, 2, &writer, NULL));
    CHECK_OK(ps_writer_append(writer, &vector, 2, NULL));
    CHECK_OK(ps_writer_finish(writer, &column, NULL));
    CHECK_EQ(column.view_buffer_count, 0);
    CHECK_EQ(*(const int64_t *)column.view_buffers[0], 0); /* the sizes come first then */
    CHECK_EQ(ps_column_string(&column, 0).size_bytes, 12);
    ps_owner_release(column.owner);
    check_nothing_left(mem);
}

static void values_under_nulls_are_zero(void)
{
    ps_mem *mem = make_account();
    const ps_type type = {.id = PS_TYPE_INT64, .width = 8};
    const int64_t values[] = {7, 8, 9};
    const uint8_t valid[] = {1, 0, 1};
    const ps_vector vector = {PS_CLASS_I64, values, valid}, none = {PS_CLASS_NONE, NULL, NULL};
    const ps_vector full = {PS_CLASS_I64, values, NULL};
    ps_writer *writer = NULL;
    ps_column column;
    CHECK_OK(ps_writer_create(mem, &type, 11, &writer, NULL));
    CHECK_OK(ps_writer_append(writer, &full, 3, NULL));
    CHECK_OK(ps_writer_append(writer, &vector, 3, NULL));
    CHECK_OK(ps_writer_append(writer, &none, 2, NULL)); /* a null literal: no values at all */
    CHECK_OK(ps_writer_append(writer, &full, 3, NULL));
    CHECK_OK(ps_writer_finish(writer, &column, NULL));
    static const int64_t want[] = {7, 8, 9, 7, 0, 9, 0, 0, 7, 8, 9};
    CHECK_EQ(memcmp(column.values, want, sizeof(want)), 0);
    CHECK_EQ(column.null_count, 3);
    for (int64_t i = 0; i < 11; i++) {
        CHECK_EQ(ps_column_is_valid(&column, i), i != 4 && i != 6 && i != 7);
    }
    ps_owner_release(column.owner);
    check_nothing_left(mem);
}

static void null_literals_fill_any_type(void)
{
    ps_mem *mem = make_account();
    const ps_vector none = {PS_CLASS_NONE, NULL, NULL};
    static const ps_type types[] = {{.id = PS_TYPE_NULL},
                                    {.id = PS_TYPE_BOOL},
                                    {.id = PS_TYPE_INT8, .width = 1},
                                    {.id = PS_TYPE_FLOAT32, .width = 4},
                                    {.id = PS_TYPE_UTF8},
                                    {.id = PS_TYPE_LARGE_BINARY},
                                    {.id = PS_TYPE_UTF8_VIEW},
                                    {.id = PS_TYPE_FIXED_BINARY, .width = 5}};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        ps_writer *writer = NULL;
        ps_column column;
        CHECK_OK(ps_writer_create(mem, &types[i], 10, &writer, NULL));
        CHECK_OK(ps_writer_append(writer, &none, 10, NULL));
        CHECK_OK(ps_writer_finish(writer, &column, NULL));
        CHECK_EQ(column.null_count, 10);
        for (int64_t row = 0; row < 10; row++) {
            char text[64];
            cell_text(&column, row, text, sizeof(text));
            CHECK_STR(text, "-");
        }
        ps_owner_release(column.owner);
    }
    check_nothing_left(mem);
}

static void misuse_is_an_error(void)
{
    ps_mem *mem = make_account();
    ps_error err;
    ps_writer *writer = NULL;
    const ps_type dict = {.id = PS_TYPE_UTF8, .index = PS_TYPE_INT8};
    const ps_type nested = {.id = PS_TYPE_OPAQUE}, fixed = {.id = PS_TYPE_FIXED_BINARY, .width = 4};
    CHECK_EQ(ps_writer_create(mem, &dict, 1, &writer, &err), PS_TYPE);
    CHECK_STR(err.text, "columns of type dictionary<utf8> cannot be computed, only passed on");
    CHECK_EQ(ps_writer_create(mem, &nested, 1, &writer, &err), PS_TYPE);
    CHECK_OK(ps_writer_create(mem, &fixed, 1, &writer, NULL));
    const ps_string strings[] = {{"abc", 3}, {"abcd", 4}};
    const ps_vector vector = {PS_CLASS_STR, strings, NULL}, wrong = {PS_CLASS_I64, strings, NULL};
    CHECK_EQ(ps_writer_append(writer, &vector, 1, &err), PS_INVALID);
    CHECK_STR(err.text, "a value of 3 bytes for a column of 4 bytes each");
    CHECK_EQ(ps_writer_append(writer, &vector, 2, NULL), PS_INTERNAL);
    CHECK_EQ(ps_writer_append(writer, &wrong, 1, NULL), PS_INTERNAL);
    ps_writer_destroy(writer);
    ps_writer_destroy(NULL);
    check_nothing_left(mem);
}

static void strings_must_fit_their_offsets(void)
{
    ps_mem *mem = make_account();
    const ps_type type = {.id = PS_TYPE_UTF8};
    const ps_string strings[] = {{"", (int64_t)INT32_MAX + 1}};
    const ps_vector vector = {PS_CLASS_STR, strings, NULL};
    ps_writer *writer = NULL;
    ps_error err;
    CHECK_OK(ps_writer_create(mem, &type, 1, &writer, NULL));
    CHECK_EQ(ps_writer_append(writer, &vector, 1, &err), PS_OVERFLOW);
    CHECK(strstr(err.text, "2147483648 bytes of strings") != NULL);
    ps_writer_destroy(writer);
    check_nothing_left(mem);
}

static void refused_memory_leaks_nothing(void)
{
    ps_mem *mem = make_account();
    ps_batch *mix = make_mix(mem, 60, 0);
    const int64_t used = ps_mem_used(mem);
    for (int32_t c = 0; c < MIX_COUNT; c++) {
        if (mix->columns[c].type.id == PS_TYPE_OPAQUE) {
            continue;
        }
        ps_status status = PS_NO_MEMORY;
        ps_column column;
        for (int64_t n = 1; status != PS_OK; n++) {
            ps_mem_fail_at(mem, n);
            status = rewrite(mem, &mix->columns[c], &column, NULL);
            CHECK(status == PS_OK || (status == PS_NO_MEMORY && ps_mem_used(mem) == used));
        }
        ps_mem_fail_at(mem, 0);
        ps_owner_release(column.owner);
    }
    ps_batch_release(mix);
    check_nothing_left(mem);
}

int main(void)
{
    RUN(what_is_loaded_can_be_written);
    RUN(written_columns_can_be_exported);
    RUN(integers_have_to_fit);
    RUN(views_of_short_strings_have_no_data);
    RUN(values_under_nulls_are_zero);
    RUN(null_literals_fill_any_type);
    RUN(misuse_is_an_error);
    RUN(strings_must_fit_their_offsets);
    RUN(refused_memory_leaks_nothing);
    return 0;
}
