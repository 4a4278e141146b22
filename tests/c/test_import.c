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

/* A batch that is spoilt before it comes in. */
typedef struct spoilt {
    ps_mem *mem;
    ps_schema *schema;
    ArrowArray array;
} spoilt;

static spoilt begin_spoilt(void)
{
    spoilt s = {.mem = make_account()};
    ArrowSchema arrow;
    make_mix_schema(&arrow);
    make_mix_array(&s.array, 20, 0);
    CHECK_OK(ps_schema_import(s.mem, &arrow, &s.schema, NULL));
    return s;
}

static void check_refused(spoilt *s, const char *words)
{
    ps_batch *batch = NULL;
    ps_error err;
    CHECK_EQ(ps_batch_import(s->mem, s->schema, &s->array, NULL, &batch, &err), PS_CORRUPT);
    if (strstr(err.text, words) == NULL) {
        CHECK_FAIL("\"%s\" does not say \"%s\"", err.text, words);
    }
    CHECK(s->array.release != NULL); /* still the caller's */
    s->array.release(&s->array);
    ps_schema_release(s->schema);
    check_nothing_left(s->mem);
}

/* spoil: an expression over `array`, the batch, or its `columns`. */
#define REFUSED(spoil, words)                                                                      \
    do {                                                                                           \
        spoilt s = begin_spoilt();                                                                 \
        ArrowArray *const array = &s.array, **const columns = array->children;                     \
        (void)columns;                                                                             \
        spoil;                                                                                     \
        check_refused(&s, words);                                                                  \
    } while (0)

static void drop_buffer(ArrowArray *column, int index)
{
    free((void *)column->buffers[index]);
    column->buffers[index] = NULL;
}

static void drop_dictionary(ArrowArray *column)
{
    column->dictionary->release(column->dictionary);
    free(column->dictionary);
    column->dictionary = NULL;
}

/* One row is null, and it is not said how many are. */
static void hide_null(ArrowArray *array)
{
    array->null_count = -1;
    MAKE_BUFFER(array, 0, (uint8_t[]){255, 251, 255});
}

static int32_t *text_offsets(ArrowArray **columns)
{
    return (int32_t *)columns[MIX_TEXT]->buffers[1];
}

static int32_t *view_parts(ArrowArray **columns, int row)
{
    return (int32_t *)columns[MIX_VIEW]->buffers[1] + row * 4;
}

static int8_t *dict_indices(ArrowArray **columns)
{
    return (int8_t *)columns[MIX_DICT]->buffers[1];
}

static void lengths_and_offsets_that_lie_are_refused(void)
{
    REFUSED(columns[MIX_I64]->length = 19, "column 'i64': the array has 19 rows, must have 20");
    REFUSED(columns[MIX_I64]->length = -1, "column 'i64': length -1");
    REFUSED(columns[MIX_I64]->offset = -1, "column 'i64': length 20, offset -1");
    REFUSED(columns[MIX_I64]->offset = INT64_MAX,
            "column 'i64': length 20, offset 9223372036854775807");
    REFUSED(array->length = -1, "the batch has length -1");
    REFUSED(array->offset = 1, "column 'bool': the array has 20 rows, must have 21");
    REFUSED(columns[MIX_I64]->n_buffers = 1, "column 'i64': the array has 1 buffers");
    REFUSED(columns[MIX_LIST]->n_children = 0,
            "column 'list': the array has 2 buffers and 0 children");
    REFUSED(columns[MIX_I64]->null_count = 21, "column 'i64'");
    REFUSED(columns[MIX_LIST]->children[0]->length = 3, "column 'list': the array has 3 rows");
    REFUSED(columns[MIX_STRUCT]->children[1]->length--, "column 'struct': the array has 19 rows");
}

static void missing_buffers_are_refused(void)
{
    REFUSED(drop_buffer(columns[MIX_I64], 1), "column 'i64': its values are missing");
    REFUSED(drop_buffer(columns[MIX_BOOL], 1), "column 'bool': its values are missing");
    REFUSED(drop_buffer(columns[MIX_I64], 0), "column 'i64': it has nulls but no validity bitmap");
    REFUSED(drop_buffer(columns[MIX_TEXT], 1), "column 'text': its offsets are missing");
    REFUSED(drop_buffer(columns[MIX_LARGE], 2), "column 'large': its bytes are missing");
    REFUSED(drop_buffer(columns[MIX_VIEW], 1), "column 'view': its views are missing");
    REFUSED(drop_buffer(columns[MIX_VIEW], 2), "column 'view': a data buffer is missing");
    REFUSED(drop_buffer(columns[MIX_VIEW], 3),
            "column 'view': the sizes of its data buffers are missing");
    REFUSED(drop_buffer(columns[MIX_LIST], 1), "column 'list': its offsets are missing");
    REFUSED(drop_dictionary(columns[MIX_DICT]), "column 'dict': its dictionary is missing");
}

static void contents_that_lie_are_refused(void)
{
    REFUSED(text_offsets(columns)[7] += 30, "column 'text': offsets are not in ascending order");
    REFUSED(text_offsets(columns)[0] = -4, "column 'text': offsets run from -4");
    REFUSED(text_offsets(columns)[20] = -1, "column 'text': offsets run from 0 to -1");
    REFUSED(view_parts(columns, 16)[2] = 1, "column 'view': a string view points outside");
    REFUSED(view_parts(columns, 16)[3] = 1000, "column 'view': a string view points outside");
    REFUSED(view_parts(columns, 16)[0] = -3, "column 'view': a string view points outside");
    REFUSED(dict_indices(columns)[4] = 3,
            "column 'dict': row 4 has an index outside its dictionary of 3");
    REFUSED(dict_indices(columns)[4] = -1, "column 'dict': row 4 has an index outside");
    REFUSED(array->null_count = 1, "null as a whole");
    REFUSED(hide_null(array), "null as a whole");
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
    array.children[MIX_LIST]->n_children = 0;
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
    RUN(lengths_and_offsets_that_lie_are_refused);
    RUN(missing_buffers_are_refused);
    RUN(contents_that_lie_are_refused);
    RUN(wrong_counts_are_refused);
    RUN(large_dictionaries_are_read_safely);
    RUN(large_dictionaries_of_views_are_read_safely);
    RUN(refused_memory_leaks_nothing);
    return 0;
}
