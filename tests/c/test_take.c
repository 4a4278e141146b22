/* test_take.c -- gathering rows, with repeats and nulls; nested types; what cannot be gathered. */
#include "arrow_make.h"

static void rows_may_repeat_and_be_none(void)
{
    ps_mem *mem = make_account();
    ps_batch *mix = make_mix(mem, 30, 2), *batch = NULL;
    static const uint32_t rows[] = {29, 29, 0, 4, 4, 4, 13, 16, 1};
    for (int64_t count = 0; count <= 9; count += 3) {
        CHECK_OK(ps_batch_create(mem, mix->schema, count, &batch, NULL));
        for (int32_t c = 0; c < MIX_COUNT; c++) {
            ps_column column;
            CHECK_OK(ps_column_take(mem, &mix->columns[c], rows, count, &column, NULL));
            ps_batch_set(batch, c, &column);
            ps_owner_release(column.owner);
        }
        check_batch_rows(mix, rows, 0, batch);
        ps_batch_release(batch);
    }
    ps_batch_release(mix);
    check_nothing_left(mem);
}

static void validity_is_dropped_without_nulls(void)
{
    ps_mem *mem = make_account();
    ps_batch *mix = make_mix(mem, 30, 0);
    static const uint32_t rows[] = {0, 1, 2};
    ps_column column;
    CHECK_OK(ps_column_take(mem, &mix->columns[MIX_I64], rows, 3, &column, NULL));
    CHECK(column.validity == NULL);
    CHECK_EQ(column.null_count, 0);
    ps_owner_release(column.owner);
    ps_batch_release(mix);
    check_nothing_left(mem);
}

/* Alone, so that nothing else keeps what is shared alive. */
static void dictionary_and_view_data_are_shared(void)
{
    ps_mem *mem = make_account();
    static const uint32_t rows[] = {2, 15, 16};
    ps_batch *mix = make_mix(mem, 30, 0);
    ps_column dict, view;
    CHECK_OK(ps_column_take(mem, &mix->columns[MIX_DICT], rows, 3, &dict, NULL));
    CHECK(dict.dictionary == mix->columns[MIX_DICT].dictionary);
    ps_batch_release(mix);
    char text[64];
    cell_text(&dict, 0, text, sizeof(text));
    CHECK_STR(text, "\"7468726565");
    ps_owner_release(dict.owner);
    CHECK_EQ(made_live, 0);
    mix = make_mix(mem, 30, 0);
    CHECK_OK(ps_column_take(mem, &mix->columns[MIX_VIEW], rows, 3, &view, NULL));
    CHECK(view.view_buffers == mix->columns[MIX_VIEW].view_buffers);
    ps_batch_release(mix);
    CHECK_EQ(ps_column_string(&view, 1).size_bytes, 15);
    ps_owner_release(view.owner);
    check_nothing_left(mem);
}

/* One column of a format given by hand, of 4 rows. */
static ps_batch *import_one(ps_mem *mem, ArrowSchema *field, ArrowArray *values)
{
    ArrowSchema arrow;
    ArrowArray array;
    ps_schema *schema = NULL;
    ps_batch *batch = NULL;
    ps_error err;
    make_schema(&arrow, "+s", "", 1);
    *arrow.children[0] = *field;
    make_array(&array, values->length, 1, 1);
    *array.children[0] = *values;
    CHECK_OK(ps_schema_import(mem, &arrow, &schema, NULL));
    if (ps_batch_import(mem, schema, &array, NULL, &batch, &err) != PS_OK) {
        CHECK_FAIL("%s", err.text);
    }
    ps_schema_release(schema);
    return batch;
}

static void fixed_size_lists_take_runs(void)
{
    ps_mem *mem = make_account();
    ArrowSchema field;
    ArrowArray values;
    make_schema(&field, "+w:2", "pairs", 1);
    make_schema(field.children[0], "l", "item", 0);
    make_array(&values, 3, 1, 1);
    make_array(values.children[0], 6, 2, 0);
    MAKE_BUFFER(values.children[0], 1, (int64_t[]){1, 2, 3, 4, 5, 6});
    MAKE_BUFFER(&values, 0, (uint8_t[]){5});
    values.null_count = 1;
    ps_batch *batch = import_one(mem, &field, &values);
    static const uint32_t rows[] = {2, 1, 0};
    ps_column taken;
    CHECK_OK(ps_column_take(mem, &batch->columns[0], rows, 3, &taken, NULL));
    const int64_t *items = taken.array->children[0]->buffers[1];
    CHECK_EQ(taken.null_count, 1);
    CHECK(!ps_column_is_valid(&taken, 1));
    CHECK_EQ(items[0], 5);
    CHECK_EQ(items[1], 6);
    CHECK_EQ(items[5], 2);
    ps_owner_release(taken.owner);
    ps_batch_release(batch);
    check_nothing_left(mem);
}

/* list<dictionary<utf8>>: the dictionary stays the producer's. */
static void dictionaries_inside_lists_stay_whole(void)
{
    ps_mem *mem = make_account();
    ArrowSchema field;
    ArrowArray values, out;
    make_schema(&field, "+l", "tags", 1);
    make_schema(field.children[0], "c", "item", 0);
    make_schema_dictionary(field.children[0], "u");
    make_array(&values, 3, 2, 1);
    MAKE_BUFFER(&values, 1, (int32_t[]){0, 2, 2, 3});
    make_array(values.children[0], 3, 2, 0);
    MAKE_BUFFER(values.children[0], 1, (int8_t[]){1, 0, 1});
    ArrowArray *dictionary = make_array_dictionary(values.children[0], 2, 3);
    MAKE_BUFFER(dictionary, 1, (int32_t[]){0, 1, 2});
    make_buffer(dictionary, 2, "xy", 2);
    const void *bytes = dictionary->buffers[2];
    ps_batch *batch = import_one(mem, &field, &values), *taken = NULL;
    ps_selection *selection = NULL;
    CHECK_OK(ps_selection_create(mem, 2, &selection, NULL));
    selection->count = 2;
    selection->rows[0] = 0;
    selection->rows[1] = 2;
    CHECK_OK(ps_batch_take(batch, selection, &taken, NULL));
    ps_selection_release(selection);
    ps_batch_release(batch);
    CHECK_OK(ps_batch_export(taken, &out, NULL));
    ps_batch_release(taken);
    const ArrowArray *items = out.children[0]->children[0];
    CHECK_EQ(items->length, 3);
    CHECK_EQ(((const int8_t *)items->buffers[1])[2], 1);
    CHECK(items->dictionary->buffers[2] == bytes);
    out.release(&out);
    check_nothing_left(mem);
}

static void wide_decimals_are_taken_as_bytes(void)
{
    ps_mem *mem = make_account();
    ArrowSchema field;
    ArrowArray values;
    make_schema(&field, "d:40,2,256", "wide", 0);
    make_array(&values, 3, 2, 0);
    MAKE_BUFFER(&values, 1, (int64_t[]){1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
    ps_batch *batch = import_one(mem, &field, &values);
    static const uint32_t rows[] = {2, 0};
    ps_column taken;
    CHECK_OK(ps_column_take(mem, &batch->columns[0], rows, 2, &taken, NULL));
    const int64_t *parts = taken.array->buffers[1];
    CHECK_EQ(parts[0], 9);
    CHECK_EQ(parts[3], 12);
    CHECK_EQ(parts[4], 1);
    ps_owner_release(taken.owner);
    ps_batch_release(batch);
    check_nothing_left(mem);
}

static void unions_go_through_whole_or_not_at_all(void)
{
    ps_mem *mem = make_account();
    ArrowSchema field;
    ArrowArray values, out;
    make_schema(&field, "+us:0", "either", 1);
    make_schema(field.children[0], "l", "a", 0);
    make_array(&values, 2, 1, 1);
    MAKE_BUFFER(&values, 0, (int8_t[]){0, 0});
    make_array(values.children[0], 2, 2, 0);
    const void *longs = MAKE_BUFFER(values.children[0], 1, (int64_t[]){5, 6});
    ps_batch *batch = import_one(mem, &field, &values);
    static const uint32_t rows[] = {1};
    ps_column taken;
    ps_error err;
    CHECK_EQ(ps_column_take(mem, &batch->columns[0], rows, 1, &taken, &err), PS_UNSUPPORTED);
    CHECK(strstr(err.text, "column 'either' of Arrow format '+us:0'") != NULL);
    CHECK_OK(ps_batch_export(batch, &out, NULL));
    CHECK(out.children[0]->children[0]->buffers[1] == longs);
    out.release(&out);
    ps_batch_release(batch);
    check_nothing_left(mem);
}

/* Offsets of a computed column must fit; taking the same long string often enough breaks that. */
static void taken_strings_must_fit_their_offsets(void)
{
    ps_mem *mem = make_account();
    static char bytes[1 << 20];
    const int32_t offsets[] = {0, sizeof(bytes)};
    const ps_column column = {
        .type = {.id = PS_TYPE_UTF8}, .length = 1, .values = bytes, .offsets = offsets};
    static uint32_t rows[2048];
    ps_column taken;
    ps_error err;
    CHECK_EQ(ps_column_take(mem, &column, rows, 2048, &taken, &err), PS_OVERFLOW);
    settle(mem);
}

int main(void)
{
    RUN(rows_may_repeat_and_be_none);
    RUN(validity_is_dropped_without_nulls);
    RUN(dictionary_and_view_data_are_shared);
    RUN(fixed_size_lists_take_runs);
    RUN(dictionaries_inside_lists_stay_whole);
    RUN(wide_decimals_are_taken_as_bytes);
    RUN(unions_go_through_whole_or_not_at_all);
    RUN(taken_strings_must_fit_their_offsets);
    return 0;
}
