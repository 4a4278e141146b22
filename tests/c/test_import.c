/* test_import.c -- arrays come in without a copy, keep their producer alive; lies are refused. */
#include "arrow_make.h"

static void import_moves_and_copies_nothing(void)
{
    ps_mem *mem = make_account();
    ArrowSchema arrow;
    ArrowArray array;
    ps_schema *schema = NULL;
    ps_batch *batch = NULL;
    make_mix_schema(&arrow);
    make_mix_array(&array, 40, 0);
    const void *longs = array.children[MIX_I64]->buffers[1];
    const void *bits = array.children[MIX_I64]->buffers[0];
    const void *bytes = array.children[MIX_TEXT]->buffers[2];
    CHECK_OK(ps_schema_import(mem, &arrow, &schema, NULL));
    CHECK_OK(ps_batch_import(mem, schema, &array, NULL, &batch, NULL));
    CHECK(array.release == NULL);
    CHECK_EQ(batch->length, 40);
    CHECK(batch->columns[MIX_I64].values == longs);
    CHECK(batch->columns[MIX_I64].validity == bits);
    CHECK(batch->columns[MIX_TEXT].values == bytes);
    ps_schema_release(schema);
    ps_batch_release(batch);
    check_nothing_left(mem);
}

static void offsets_of_parent_and_children_add_up(void)
{
    ps_mem *mem = make_account();
    ps_batch *whole = make_mix(mem, 60, 0);
    for (int64_t offset = 1; offset < 12; offset++) {
        ps_batch *late = make_mix(mem, 40, offset);
        check_batch_rows(whole, NULL, offset + 1, late);
        ps_batch_release(late);
    }
    ps_batch_release(whole);
    check_nothing_left(mem);
}

static void a_column_outlives_its_batch(void)
{
    ps_mem *mem = make_account();
    ps_batch *batch = make_mix(mem, 20, 0);
    ps_column kept = batch->columns[MIX_DICT];
    ps_owner_retain(kept.owner);
    ps_batch_release(batch);
    char text[64];
    cell_text(&kept, 2, text, sizeof(text));
    CHECK_STR(text, "\"7468726565");
    CHECK(made_live > 0);
    ps_owner_release(kept.owner);
    check_nothing_left(mem);
}

static void unwanted_columns_are_not_looked_at(void)
{
    ps_mem *mem = make_account();
    ArrowSchema arrow;
    ArrowArray array;
    ps_schema *schema = NULL;
    ps_batch *batch = NULL;
    bool wanted[MIX_COUNT] = {[MIX_I64] = true};
    make_mix_schema(&arrow);
    make_mix_array(&array, 20, 0);
    array.children[MIX_TEXT]->length = -5;
    CHECK_OK(ps_schema_import(mem, &arrow, &schema, NULL));
    CHECK_OK(ps_batch_import(mem, schema, &array, wanted, &batch, NULL));
    CHECK(batch->columns[MIX_TEXT].owner == NULL && batch->columns[MIX_TEXT].values == NULL);
    CHECK(batch->columns[MIX_I64].owner != NULL);
    ps_batch_release(batch);
    wanted[MIX_I64] = false;
    make_mix_array(&array, 20, 0);
    CHECK_OK(ps_batch_import(mem, schema, &array, wanted, &batch, NULL));
    CHECK_EQ(batch->length, 20);
    CHECK(array.release == NULL);
    ps_batch_release(batch);
    ps_schema_release(schema);
    check_nothing_left(mem);
}

typedef void (*spoiler)(ArrowArray *array);

static void check_refused(spoiler spoil, const char *words)
{
    ps_mem *mem = make_account();
    ArrowSchema arrow;
    ArrowArray array;
    ps_schema *schema = NULL;
    ps_batch *batch = NULL;
    ps_error err;
    make_mix_schema(&arrow);
    make_mix_array(&array, 20, 0);
    spoil(&array);
    CHECK_OK(ps_schema_import(mem, &arrow, &schema, NULL));
    CHECK_EQ(ps_batch_import(mem, schema, &array, NULL, &batch, &err), PS_CORRUPT);
    if (strstr(err.text, words) == NULL) {
        CHECK_FAIL("\"%s\" does not say \"%s\"", err.text, words);
    }
    CHECK(array.release != NULL); /* still the caller's */
    array.release(&array);
    ps_schema_release(schema);
    check_nothing_left(mem);
}

static void long_length(ArrowArray *array)
{
    array->children[MIX_I64]->length = 19;
}
static void minus_length(ArrowArray *array)
{
    array->children[MIX_I64]->length = -1;
}
static void minus_offset(ArrowArray *array)
{
    array->children[MIX_I64]->offset = -1;
}
static void far_offset(ArrowArray *array)
{
    array->children[MIX_I64]->offset = INT64_MAX;
}
static void top_minus(ArrowArray *array)
{
    array->length = -1;
}
static void top_offset(ArrowArray *array)
{
    array->offset = 1;
}
static void fewer_buffers(ArrowArray *array)
{
    array->children[MIX_I64]->n_buffers = 1;
}
static void fewer_children(ArrowArray *array)
{
    array->children[MIX_LIST]->n_children = 0;
}
static void many_nulls(ArrowArray *array)
{
    array->children[MIX_I64]->null_count = 21;
}
static void drop_buffer(ArrowArray *array, int column, int index)
{
    free((void *)array->children[column]->buffers[index]);
    array->children[column]->buffers[index] = NULL;
}
static void no_values(ArrowArray *array)
{
    drop_buffer(array, MIX_I64, 1);
}
static void no_bits(ArrowArray *array)
{
    drop_buffer(array, MIX_BOOL, 1);
}
static void no_validity(ArrowArray *array)
{
    drop_buffer(array, MIX_I64, 0);
}
static void no_offsets(ArrowArray *array)
{
    drop_buffer(array, MIX_TEXT, 1);
}
static void no_bytes(ArrowArray *array)
{
    drop_buffer(array, MIX_LARGE, 2);
}
static void no_views(ArrowArray *array)
{
    drop_buffer(array, MIX_VIEW, 1);
}
static void no_view_data(ArrowArray *array)
{
    drop_buffer(array, MIX_VIEW, 2);
}
static void no_view_sizes(ArrowArray *array)
{
    drop_buffer(array, MIX_VIEW, 3);
}
static void no_list_offsets(ArrowArray *array)
{
    drop_buffer(array, MIX_LIST, 1);
}
static int32_t *text_offsets(ArrowArray *array)
{
    return (int32_t *)array->children[MIX_TEXT]->buffers[1];
}
static void falling(ArrowArray *array)
{
    text_offsets(array)[7] += 30;
}
static void negative(ArrowArray *array)
{
    text_offsets(array)[0] = -4;
}
static void swapped(ArrowArray *array)
{
    text_offsets(array)[20] = -1;
}
static int32_t *view_parts(ArrowArray *array, int row)
{
    return (int32_t *)array->children[MIX_VIEW]->buffers[1] + row * 4;
}
static void view_buffer(ArrowArray *array)
{
    view_parts(array, 16)[2] = 1;
}
static void view_offset(ArrowArray *array)
{
    view_parts(array, 16)[3] = 1000;
}
static void view_size(ArrowArray *array)
{
    view_parts(array, 16)[0] = -3;
}
static void index_high(ArrowArray *array)
{
    ((int8_t *)array->children[MIX_DICT]->buffers[1])[4] = 3;
}
static void index_negative(ArrowArray *array)
{
    ((int8_t *)array->children[MIX_DICT]->buffers[1])[4] = -1;
}
static void no_dictionary(ArrowArray *array)
{
    ArrowArray *dictionary = array->children[MIX_DICT]->dictionary;
    dictionary->release(dictionary);
    free(dictionary);
    array->children[MIX_DICT]->dictionary = NULL;
}
static void list_child(ArrowArray *array)
{
    array->children[MIX_LIST]->children[0]->length = 3;
}
static void struct_child(ArrowArray *array)
{
    array->children[MIX_STRUCT]->children[1]->length--;
}
static void null_rows(ArrowArray *array)
{
    array->null_count = 1;
}
static void null_rows_unknown(ArrowArray *array)
{
    array->null_count = -1;
    MAKE_BUFFER(array, 0, (uint8_t[]){255, 251, 255});
}

static void lies_are_refused_by_name(void)
{
    check_refused(long_length, "column 'i64': the array has 19 rows, must have 20");
    check_refused(minus_length, "column 'i64': length -1");
    check_refused(minus_offset, "column 'i64': length 20, offset -1");
    check_refused(far_offset, "column 'i64': length 20, offset 9223372036854775807");
    check_refused(top_minus, "the batch has length -1");
    check_refused(top_offset, "column 'bool': the array has 20 rows, must have 21");
    check_refused(fewer_buffers, "column 'i64': the array has 1 buffers");
    check_refused(fewer_children, "column 'list': the array has 2 buffers and 0 children");
    check_refused(many_nulls, "column 'i64'");
    check_refused(no_values, "column 'i64': its values are missing");
    check_refused(no_bits, "column 'bool': its values are missing");
    check_refused(no_validity, "column 'i64': it has nulls but no validity bitmap");
    check_refused(no_offsets, "column 'text': its offsets are missing");
    check_refused(no_bytes, "column 'large': its bytes are missing");
    check_refused(no_views, "column 'view': its views are missing");
    check_refused(no_view_data, "column 'view': a data buffer is missing");
    check_refused(no_view_sizes, "column 'view': the sizes of its data buffers are missing");
    check_refused(no_list_offsets, "column 'list': its offsets are missing");
    check_refused(falling, "column 'text': offsets are not in ascending order");
    check_refused(negative, "column 'text': offsets run from -4");
    check_refused(swapped, "column 'text': offsets run from 0 to -1");
    check_refused(view_buffer, "column 'view': a string view points outside");
    check_refused(view_offset, "column 'view': a string view points outside");
    check_refused(view_size, "column 'view': a string view points outside");
    check_refused(index_high, "column 'dict': row 4 has an index outside its dictionary of 3");
    check_refused(index_negative, "column 'dict': row 4 has an index outside");
    check_refused(no_dictionary, "column 'dict': its dictionary is missing");
    check_refused(list_child, "column 'list': the array has 3 rows");
    check_refused(struct_child, "column 'struct': the array has 19 rows");
    check_refused(null_rows, "null as a whole");
    check_refused(null_rows_unknown, "null as a whole");
}

static void wrong_counts_are_refused(void)
{
    ps_mem *mem = make_account();
    ps_batch *batch = make_mix(mem, 8, 0), *none = NULL;
    ArrowArray array;
    ps_error err;
    make_array(&array, 8, 1, 0);
    CHECK_EQ(ps_batch_import(mem, batch->schema, &array, NULL, &none, &err), PS_CORRUPT);
    CHECK_STR(err.text, "the batch has 0 columns, its schema has 15");
    array.release(&array);
    CHECK_EQ(ps_batch_import(mem, batch->schema, &array, NULL, &none, &err), PS_INVALID);
    make_mix_array(&array, 8, 0);
    fewer_children(&array);
    CHECK_EQ(ps_batch_import(mem, batch->schema, &array, NULL, &none, &err), PS_CORRUPT);
    array.release(&array);
    ps_batch_release(batch);
    check_nothing_left(mem);
}

/* Content of a dictionary far larger than the batch is not checked, so reading it must be safe. */
static void large_dictionaries_are_read_safely(void)
{
    ps_mem *mem = make_account();
    ArrowSchema arrow;
    ArrowArray array;
    ps_schema *schema = NULL;
    ps_batch *batch = NULL;
    enum { SIZE = 20000 };
    make_schema(&arrow, "+s", "", 1);
    make_schema(arrow.children[0], "i", "d", 0);
    make_schema_dictionary(arrow.children[0], "u");
    make_array(&array, 3, 1, 1);
    make_array(array.children[0], 3, 2, 0);
    MAKE_BUFFER(array.children[0], 1, (int32_t[]){0, 1, 2});
    ArrowArray *dictionary = make_array_dictionary(array.children[0], SIZE, 3);
    int32_t *offsets = calloc(SIZE + 1, 4);
    for (int32_t i = 3; i <= SIZE; i++) {
        offsets[i] = 4;
    }
    offsets[1] = 1000000; /* row 0 leaves the bytes, row 1 falls back into them */
    offsets[2] = 1;
    make_buffer(dictionary, 1, offsets, (SIZE + 1) * 4);
    make_buffer(dictionary, 2, "abcd", 4);
    free(offsets);
    CHECK_OK(ps_schema_import(mem, &arrow, &schema, NULL));
    CHECK_OK(ps_batch_import(mem, schema, &array, NULL, &batch, NULL));
    static ps_vector_scratch scratch;
    ps_vector vector;
    ps_vector_load(&batch->columns[0], NULL, 0, 3, &scratch, &vector);
    const ps_string *strings = vector.values;
    CHECK_EQ(strings[0].size_bytes, 0);
    CHECK_EQ(strings[1].size_bytes, 0);
    CHECK_EQ(strings[2].size_bytes, 3);
    ps_vector_load(batch->columns[0].dictionary, NULL, 0, 3, &scratch, &vector);
    CHECK_EQ(strings[0].size_bytes, 0);
    CHECK_EQ(strings[2].size_bytes, 3);
    CHECK_EQ(ps_column_string(batch->columns[0].dictionary, 0).size_bytes, 0);
    ps_batch_release(batch);
    ps_schema_release(schema);
    check_nothing_left(mem);
}

static void large_dictionaries_of_views_are_read_safely(void)
{
    ps_mem *mem = make_account();
    ArrowSchema arrow;
    ArrowArray array;
    ps_schema *schema = NULL;
    ps_batch *batch = NULL;
    enum { SIZE = 20000 };
    make_schema(&arrow, "+s", "", 1);
    make_schema(arrow.children[0], "i", "d", 0);
    make_schema_dictionary(arrow.children[0], "vu");
    make_array(&array, 4, 1, 1);
    make_array(array.children[0], 4, 2, 0);
    MAKE_BUFFER(array.children[0], 1, (int32_t[]){0, 1, 2, 3});
    ArrowArray *dictionary = make_array_dictionary(array.children[0], SIZE, 4);
    int32_t *views = calloc(SIZE, 16);
    const int32_t parts[] = {14, 0, 0, 0, 14, 0, 0, 3, 14, 0, 1, 0, -1, 0, 0, 0};
    memcpy(views, parts, sizeof(parts)); /* good, past the end, no such buffer, negative */
    make_buffer(dictionary, 1, views, SIZE * 16);
    make_buffer(dictionary, 2, "sixteen letters!", 16);
    MAKE_BUFFER(dictionary, 3, (int64_t[]){16});
    free(views);
    CHECK_OK(ps_schema_import(mem, &arrow, &schema, NULL));
    CHECK_OK(ps_batch_import(mem, schema, &array, NULL, &batch, NULL));
    static ps_vector_scratch scratch;
    ps_vector vector;
    ps_vector_load(&batch->columns[0], NULL, 0, 4, &scratch, &vector);
    const ps_string *strings = vector.values;
    CHECK_EQ(strings[0].size_bytes, 14);
    CHECK_EQ(strings[1].size_bytes, 0);
    CHECK_EQ(strings[2].size_bytes, 0);
    CHECK_EQ(strings[3].size_bytes, 0);
    ps_batch_release(batch);
    ps_schema_release(schema);
    check_nothing_left(mem);
}

static void refused_memory_leaks_nothing(void)
{
    ps_mem *mem = make_account();
    ArrowSchema arrow;
    ArrowArray array;
    ps_schema *schema = NULL;
    ps_batch *batch = NULL;
    ps_error err;
    make_mix_schema(&arrow);
    CHECK_OK(ps_schema_import(mem, &arrow, &schema, NULL));
    make_mix_array(&array, 20, 0);
    const int64_t before = ps_mem_used(mem);
    for (int64_t n = 1; batch == NULL; n++) {
        ps_mem_fail_at(mem, n);
        const ps_status status = ps_batch_import(mem, schema, &array, NULL, &batch, &err);
        ps_mem_fail_at(mem, 0);
        if (status != PS_OK) {
            CHECK_EQ(status, PS_NO_MEMORY);
            CHECK_EQ(ps_mem_used(mem), before);
            CHECK(array.release != NULL);
        } else {
            CHECK_EQ(n, 3); /* two blocks a batch */
        }
    }
    ps_batch_release(batch);
    ps_schema_release(schema);
    check_nothing_left(mem);
}

int main(void)
{
    RUN(import_moves_and_copies_nothing);
    RUN(offsets_of_parent_and_children_add_up);
    RUN(a_column_outlives_its_batch);
    RUN(unwanted_columns_are_not_looked_at);
    RUN(lies_are_refused_by_name);
    RUN(wrong_counts_are_refused);
    RUN(large_dictionaries_are_read_safely);
    RUN(large_dictionaries_of_views_are_read_safely);
    RUN(refused_memory_leaks_nothing);
    return 0;
}
