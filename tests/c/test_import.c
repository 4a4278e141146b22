/* test_import.c -- arrays come in without a copy, keep their producer alive; lies are refused. */
#include "arrow_make.h"

/* A producer's array on its way in. */
typedef struct arrival {
    ps_mem *mem;
    ps_schema *schema;
    ArrowArray array;
    ps_batch *batch;
} arrival;

static arrival expect(ArrowSchema *arrow)
{
    arrival a = {.mem = make_account()};
    CHECK_OK(ps_schema_import(a.mem, arrow, &a.schema, NULL));
    return a;
}

static arrival expect_mix(int64_t rows)
{
    ArrowSchema arrow;
    make_mix_schema(&arrow);
    arrival a = expect(&arrow);
    make_mix_array(&a.array, rows, 0);
    return a;
}

static void take_in(arrival *a, const bool *wanted)
{
    CHECK_OK(ps_batch_import(a->mem, a->schema, &a->array, wanted, &a->batch, NULL));
    CHECK(a->array.release == NULL);
}

static void end(arrival *a)
{
    ps_batch_release(a->batch);
    ps_schema_release(a->schema);
    check_nothing_left(a->mem);
}

static void import_moves_and_copies_nothing(void)
{
    arrival a = expect_mix(40);
    const void *longs = a.array.children[MIX_I64]->buffers[1];
    const void *bits = a.array.children[MIX_I64]->buffers[0];
    const void *bytes = a.array.children[MIX_TEXT]->buffers[2];
    take_in(&a, NULL);
    CHECK_EQ(a.batch->length, 40);
    CHECK(a.batch->columns[MIX_I64].values == longs);
    CHECK(a.batch->columns[MIX_I64].validity == bits);
    CHECK(a.batch->columns[MIX_TEXT].values == bytes);
    end(&a);
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
    bool wanted[MIX_COUNT] = {[MIX_I64] = true};
    arrival a = expect_mix(20);
    a.array.children[MIX_TEXT]->length = -5;
    take_in(&a, wanted);
    CHECK(a.batch->columns[MIX_TEXT].owner == NULL && a.batch->columns[MIX_TEXT].values == NULL);
    CHECK(a.batch->columns[MIX_I64].owner != NULL);
    ps_batch_release(a.batch);
    wanted[MIX_I64] = false;
    make_mix_array(&a.array, 20, 0);
    take_in(&a, wanted);
    CHECK_EQ(a.batch->length, 20);
    end(&a);
}

static void check_refused(arrival *a, const char *words)
{
    ps_error err;
    CHECK_EQ(ps_batch_import(a->mem, a->schema, &a->array, NULL, &a->batch, &err), PS_CORRUPT);
    if (strstr(err.text, words) == NULL) {
        CHECK_FAIL("\"%s\" does not say \"%s\"", err.text, words);
    }
    CHECK(a->array.release != NULL); /* still the caller's */
    a->array.release(&a->array);
    end(a);
}

/* spoil: an expression over `array`, the batch, or its `columns`. */
#define REFUSED(spoil, words)                                                                      \
    do {                                                                                           \
        arrival a = expect_mix(20);                                                                \
        ArrowArray *const array = &a.array, **const columns = array->children;                     \
        (void)columns;                                                                             \
        spoil;                                                                                     \
        check_refused(&a, words);                                                                  \
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

enum { LARGE = 20000 };

/* One column: `rows` indices 0, 1, ... into a dictionary of that type and far larger, whose buffers
 * are still to be made. */
static arrival expect_large_dictionary(const char *format, int64_t rows, int64_t buffers,
                                       ArrowArray **dictionary)
{
    ArrowSchema arrow;
    make_schema(&arrow, "+s", "", 1);
    make_schema(arrow.children[0], "i", "d", 0);
    make_schema_dictionary(arrow.children[0], format);
    arrival a = expect(&arrow);
    make_array(&a.array, rows, 1, 1);
    make_array(a.array.children[0], rows, 2, 0);
    MAKE_BUFFER(a.array.children[0], 1, (int32_t[]){0, 1, 2, 3});
    *dictionary = make_array_dictionary(a.array.children[0], LARGE, buffers);
    return a;
}

static void check_sizes(const ps_column *column, const int64_t *sizes, int64_t count)
{
    static ps_vector_scratch scratch;
    ps_vector vector;
    ps_vector_load(column, NULL, 0, count, &scratch, &vector);
    for (int64_t i = 0; i < count; i++) {
        CHECK_EQ(((const ps_string *)vector.values)[i].size_bytes, sizes[i]);
    }
}

/* Content of a dictionary far larger than the batch is not checked, so reading it must be safe. */
static void large_dictionaries_are_read_safely(void)
{
    static int32_t offsets[LARGE + 1] = {0, 1000000, 1}; /* row 0 leaves the bytes, row 1 falls */
    ArrowArray *dictionary;
    arrival a = expect_large_dictionary("u", 3, 3, &dictionary);
    for (int32_t i = 3; i <= LARGE; i++) {
        offsets[i] = 4;
    }
    make_buffer(dictionary, 1, offsets, sizeof(offsets));
    make_buffer(dictionary, 2, "abcd", 4);
    take_in(&a, NULL);
    const ps_column *const column = &a.batch->columns[0];
    check_sizes(column, (int64_t[]){0, 0, 3}, 3);
    check_sizes(column->dictionary, (int64_t[]){0, 0, 3}, 3);
    CHECK_EQ(ps_column_string(column->dictionary, 0).size_bytes, 0);
    end(&a);
}

static void large_dictionaries_of_views_are_read_safely(void)
{
    /* good, past the end, no such buffer, negative */
    static const int32_t views[LARGE][4] = {{14, 0, 0, 0}, {14, 0, 0, 3}, {14, 0, 1, 0}, {-1}};
    ArrowArray *dictionary;
    arrival a = expect_large_dictionary("vu", 4, 4, &dictionary);
    make_buffer(dictionary, 1, views, sizeof(views));
    make_buffer(dictionary, 2, "sixteen letters!", 16);
    MAKE_BUFFER(dictionary, 3, (int64_t[]){16});
    take_in(&a, NULL);
    check_sizes(&a.batch->columns[0], (int64_t[]){14, 0, 0, 0}, 4);
    end(&a);
}

static void refused_memory_leaks_nothing(void)
{
    arrival a = expect_mix(20);
    const int64_t before = ps_mem_used(a.mem);
    for (int64_t n = 1; a.batch == NULL; n++) {
        ps_mem_fail_at(a.mem, n);
        const ps_status status = ps_batch_import(a.mem, a.schema, &a.array, NULL, &a.batch, NULL);
        ps_mem_fail_at(a.mem, 0);
        if (status != PS_OK) {
            CHECK_EQ(status, PS_NO_MEMORY);
            CHECK_EQ(ps_mem_used(a.mem), before);
            CHECK(a.array.release != NULL);
        } else {
            CHECK_EQ(n, 3); /* two blocks a batch */
        }
    }
    end(&a);
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
