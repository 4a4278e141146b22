/* arrow_make.h -- Arrow structs as a producer would hand them over, for the C tests.
 *
 * Every buffer is an allocation of exactly its size, so a sanitizer sees each byte read too many.
 * made_live counts what has been made and not yet released.
 */
#ifndef PS_TESTS_ARROW_MAKE_H
#define PS_TESTS_ARROW_MAKE_H

#include "account.h"
#include "arrow/vector.h"

static _Atomic int64_t made_live;

static inline void made_schema_release(ArrowSchema *schema)
{
    for (int64_t i = 0; i < schema->n_children; i++) {
        if (schema->children[i]->release != NULL) {
            schema->children[i]->release(schema->children[i]);
        }
        free(schema->children[i]);
    }
    if (schema->dictionary != NULL) {
        if (schema->dictionary->release != NULL) {
            schema->dictionary->release(schema->dictionary);
        }
        free(schema->dictionary);
    }
    free(schema->children);
    free((char *)schema->format);
    free((char *)schema->name);
    schema->release = NULL;
    made_live--;
}

static inline char *made_text(const char *text)
{
    char *copy = malloc(strlen(text) + 1);
    memcpy(copy, text, strlen(text) + 1);
    return copy;
}

/* Children are zeroed structs for the caller to make. */
static inline void make_schema(ArrowSchema *out, const char *format, const char *name,
                               int64_t children)
{
    *out = (ArrowSchema){.format = made_text(format),
                         .name = made_text(name),
                         .flags = ARROW_FLAG_NULLABLE,
                         .n_children = children,
                         .release = made_schema_release};
    out->children = calloc((size_t)children + 1, sizeof(ArrowSchema *));
    for (int64_t i = 0; i < children; i++) {
        out->children[i] = calloc(1, sizeof(ArrowSchema));
    }
    made_live++;
}

static inline ArrowSchema *make_schema_dictionary(ArrowSchema *of, const char *format)
{
    of->dictionary = calloc(1, sizeof(ArrowSchema));
    make_schema(of->dictionary, format, "", 0);
    return of->dictionary;
}

/* Counts as made, whatever a test has written over them. */
typedef struct made_counts {
    int64_t buffers, children;
} made_counts;

static inline void made_array_release(ArrowArray *array)
{
    const made_counts counts = *(made_counts *)array->private_data;
    for (int64_t i = 0; i < counts.children; i++) {
        if (array->children[i]->release != NULL) {
            array->children[i]->release(array->children[i]);
        }
        free(array->children[i]);
    }
    if (array->dictionary != NULL) {
        if (array->dictionary->release != NULL) {
            array->dictionary->release(array->dictionary);
        }
        free(array->dictionary);
    }
    for (int64_t i = 0; i < counts.buffers; i++) {
        free((void *)array->buffers[i]);
    }
    free(array->children);
    free(array->buffers);
    free(array->private_data);
    array->release = NULL;
    made_live--;
}

static inline void make_array(ArrowArray *out, int64_t length, int64_t buffers, int64_t children)
{
    *out = (ArrowArray){.length = length,
                        .n_buffers = buffers,
                        .n_children = children,
                        .release = made_array_release};
    made_counts *counts = malloc(sizeof(*counts));
    *counts = (made_counts){buffers, children};
    out->private_data = counts;
    out->buffers = calloc((size_t)buffers + 1, sizeof(void *));
    out->children = calloc((size_t)children + 1, sizeof(ArrowArray *));
    for (int64_t i = 0; i < children; i++) {
        out->children[i] = calloc(1, sizeof(ArrowArray));
    }
    made_live++;
}

static inline ArrowArray *make_array_dictionary(ArrowArray *of, int64_t length, int64_t buffers)
{
    of->dictionary = calloc(1, sizeof(ArrowArray));
    make_array(of->dictionary, length, buffers, 0);
    return of->dictionary;
}

static inline void *make_buffer(ArrowArray *array, int64_t index, const void *data, size_t size)
{
    void *copy = malloc(size);
    memcpy(copy, data, size);
    array->buffers[index] = copy;
    return copy;
}
#define MAKE_BUFFER(array, index, ...)                                                             \
    make_buffer((array), (index), (__VA_ARGS__), sizeof(__VA_ARGS__))

/* Validity of length rows: the row r is null where r % every == every - 1. */
static inline void make_nulls(ArrowArray *array, int64_t every)
{
    const int64_t bits = array->offset + array->length;
    uint8_t *bitmap = calloc((size_t)bits / 8 + 1, 1);
    array->null_count = 0;
    for (int64_t i = 0; i < bits; i++) {
        if (i % every != every - 1) {
            ps_bit_set(bitmap, i);
        } else if (i >= array->offset) {
            array->null_count++;
        }
    }
    make_buffer(array, 0, bitmap, (size_t)(bits + 7) / 8);
    free(bitmap);
}

/* --- a batch with something of everything ----------------------------------------------------- */

enum {
    MIX_BOOL,
    MIX_I16,
    MIX_I64,
    MIX_U32,
    MIX_F32,
    MIX_F64,
    MIX_TIME,
    MIX_TEXT,
    MIX_LARGE,
    MIX_VIEW,
    MIX_FIXED,
    MIX_DICT,
    MIX_LIST,
    MIX_STRUCT,
    MIX_NULL,
    MIX_COUNT
};

static inline void make_mix_schema(ArrowSchema *out)
{
    static const char *const formats[] = {"b", "s",  "l",   "I", "f",  "g",  "tsu:UTC", "u",
                                          "U", "vu", "w:3", "c", "+l", "+s", "n"};
    static const char *const names[] = {"bool",  "i16",  "i64",  "u32",    "f32",
                                        "f64",   "time", "text", "large",  "view",
                                        "fixed", "dict", "list", "struct", "null"};
    make_schema(out, "+s", "", MIX_COUNT);
    for (int i = 0; i < MIX_COUNT; i++) {
        const int64_t children = i == MIX_LIST ? 1 : i == MIX_STRUCT ? 2 : 0;
        make_schema(out->children[i], formats[i], names[i], children);
    }
    make_schema_dictionary(out->children[MIX_DICT], "u");
    make_schema(out->children[MIX_LIST]->children[0], "i", "item", 0);
    make_schema(out->children[MIX_STRUCT]->children[0], "l", "a", 0);
    make_schema(out->children[MIX_STRUCT]->children[1], "u", "b", 0);
}

static inline void mix_fixed(ArrowArray *array, int64_t rows, int which)
{
    int64_t *longs = calloc((size_t)rows + 1, 8);
    static const size_t widths[] = {0, 2, 8, 4, 4, 8, 8};
    for (int64_t i = 0; i < rows; i++) {
        uint8_t *to = (uint8_t *)longs + (size_t)i * widths[which];
        const int64_t value = i * 3 - 7;
        const double real = (double)value / 2;
        const float single = (float)real;
        switch (which) {
        case MIX_I16:
        case MIX_I64:
        case MIX_U32:
        case MIX_TIME: memcpy(to, &value, widths[which]); break;
        case MIX_F32: memcpy(to, &single, 4); break;
        default: memcpy(to, &real, 8); break;
        }
    }
    make_buffer(array, 1, longs, (size_t)rows * widths[which]);
    free(longs);
}

#define MIX_TEXT_MAX 23

/* The string of a row: of growing size, past what fits a view. */
static inline int64_t mix_text(int64_t row, char *text)
{
    const int64_t size = row % MIX_TEXT_MAX;
    for (int64_t i = 0; i < size; i++) {
        text[i] = (char)('a' + (row + i) % 26);
    }
    return size;
}

static inline void mix_strings(ArrowArray *array, int64_t rows, bool large)
{
    char *bytes = malloc((size_t)rows * MIX_TEXT_MAX + 1);
    int64_t *wide = calloc((size_t)rows + 1, 8);
    int32_t *narrow = calloc((size_t)rows + 1, 4);
    int64_t at = 0;
    for (int64_t i = 0; i < rows; i++) {
        at += mix_text(i, bytes + at);
        wide[i + 1] = at;
        narrow[i + 1] = (int32_t)at;
    }
    make_buffer(array, 1, large ? (void *)wide : (void *)narrow,
                (size_t)(rows + 1) * (large ? 8 : 4));
    make_buffer(array, 2, bytes, (size_t)at);
    free(bytes);
    free(wide);
    free(narrow);
}

static inline void mix_views(ArrowArray *array, int64_t rows)
{
    uint8_t *views = calloc((size_t)rows + 1, 16);
    char *bytes = malloc((size_t)rows * MIX_TEXT_MAX + 1);
    int64_t at = 0;
    for (int64_t i = 0; i < rows; i++) {
        char text[MIX_TEXT_MAX];
        int32_t parts[4] = {(int32_t)mix_text(i, text), 0, 0, 0};
        memcpy(&parts[1], text, parts[0] <= 12 ? (size_t)parts[0] : 4);
        if (parts[0] > 12) {
            parts[3] = (int32_t)at;
            memcpy(bytes + at, text, (size_t)parts[0]);
            at += parts[0];
        }
        memcpy(views + i * 16, parts, 16);
    }
    make_buffer(array, 1, views, (size_t)rows * 16);
    make_buffer(array, 2, bytes, (size_t)at);
    make_buffer(array, 3, &at, 8);
    free(views);
    free(bytes);
}

static inline void mix_nested(ArrowArray *list, ArrowArray *pair, int64_t rows)
{
    int32_t *offsets = calloc((size_t)rows + 1, 4), *items = calloc((size_t)rows * 3 + 1, 4);
    for (int64_t i = 0; i < rows; i++) {
        offsets[i + 1] = offsets[i] + (int32_t)(i % 4);
    }
    for (int32_t i = 0; i < offsets[rows]; i++) {
        items[i] = i * 10;
    }
    make_buffer(list, 1, offsets, (size_t)(rows + 1) * 4);
    make_array(list->children[0], offsets[rows], 2, 0);
    make_buffer(list->children[0], 1, items, (size_t)offsets[rows] * 4);
    make_array(pair->children[0], rows, 2, 0);
    mix_fixed(pair->children[0], rows, MIX_I64);
    make_array(pair->children[1], rows, 3, 0);
    mix_strings(pair->children[1], rows, false);
    free(offsets);
    free(items);
}

/* `rows` rows; the batch begins `offset` rows in, at the parent, its fields one row further when
 * that is > 0 (so offsets add up). Every column but list, struct and null has nulls. */
static inline void make_mix_array(ArrowArray *out, int64_t rows, int64_t offset)
{
    static const int8_t buffers[] = {2, 2, 2, 2, 2, 2, 2, 3, 3, 4, 2, 2, 2, 1, 0};
    const int64_t inner = offset > 0 ? 1 : 0, all = rows + offset + inner;
    make_array(out, rows, 1, MIX_COUNT);
    out->offset = offset;
    for (int i = 0; i < MIX_COUNT; i++) {
        const int64_t children = i == MIX_LIST ? 1 : i == MIX_STRUCT ? 2 : 0;
        ArrowArray *array = out->children[i];
        make_array(array, all - inner, buffers[i], children);
        array->offset = inner;
        if (i < MIX_LIST) {
            make_nulls(array, 5 + i);
        }
        if (i >= MIX_I16 && i <= MIX_TIME) {
            mix_fixed(array, all, i);
        }
    }
    uint8_t *bytes = calloc((size_t)all + 1, 3);
    for (int64_t i = 0; i < all * 3; i++) {
        bytes[i] = (uint8_t)i;
    }
    make_buffer(out->children[MIX_BOOL], 1, bytes, (size_t)(all + 7) / 8);
    make_buffer(out->children[MIX_FIXED], 1, bytes, (size_t)all * 3);
    for (int64_t i = 0; i < all; i++) { /* the index of a null row is out of range */
        bytes[i] = (uint8_t)(i % (5 + MIX_DICT) == 4 + MIX_DICT ? 99 : i % 3);
    }
    make_buffer(out->children[MIX_DICT], 1, bytes, (size_t)all);
    free(bytes);
    ArrowArray *dictionary = make_array_dictionary(out->children[MIX_DICT], 3, 3);
    MAKE_BUFFER(dictionary, 1, (int32_t[]){0, 3, 3, 8});
    make_buffer(dictionary, 2, "onethree", 8);
    mix_strings(out->children[MIX_TEXT], all, false);
    mix_strings(out->children[MIX_LARGE], all, true);
    mix_views(out->children[MIX_VIEW], all);
    mix_nested(out->children[MIX_LIST], out->children[MIX_STRUCT], all);
    out->children[MIX_NULL]->null_count = all - inner;
}

/* At the end of a test: nothing is left, here or at the producer. */
static inline void check_nothing_left(ps_mem *mem)
{
    CHECK_EQ(made_live, 0);
    settle(mem);
}

static inline ps_batch *make_mix(ps_mem *mem, int64_t rows, int64_t offset)
{
    ArrowSchema arrow;
    ArrowArray array;
    ps_schema *schema = NULL;
    ps_batch *batch = NULL;
    ps_error err;
    make_mix_schema(&arrow);
    make_mix_array(&array, rows, offset);
    CHECK_OK(ps_schema_import(mem, &arrow, &schema, NULL));
    if (ps_batch_import(mem, schema, &array, NULL, &batch, &err) != PS_OK) {
        CHECK_FAIL("%s", err.text);
    }
    ps_schema_release(schema);
    return batch;
}

/* One value as text: what two columns are compared by. "-" is null. */
static inline void cell_text(const ps_column *column, int64_t row, char *text, size_t size);

static inline void nested_text(const ArrowSchema *schema, const ArrowArray *array, int64_t row,
                               char *text, size_t size)
{
    const int64_t at = array->offset + row;
    size_t used = 0;
    text[0] = '\0';
    if (schema->format[0] != '+') {
        ps_type type;
        CHECK_OK(ps_type_parse(schema, &type, NULL));
        if (type.id == PS_TYPE_INT32) {
            (void)snprintf(text, size, "%d", ((const int32_t *)array->buffers[1])[at]);
        } else if (type.id == PS_TYPE_INT64) {
            (void)snprintf(text, size, "%lld", (long long)((const int64_t *)array->buffers[1])[at]);
        } else {
            const int32_t *offsets = array->buffers[1];
            (void)snprintf(text, size, "%.*s", offsets[at + 1] - offsets[at],
                           (const char *)array->buffers[2] + offsets[at]);
        }
        return;
    }
    int64_t from = row, to = row + 1;
    if (schema->format[1] == 'l') {
        from = ((const int32_t *)array->buffers[1])[at];
        to = ((const int32_t *)array->buffers[1])[at + 1];
    } else {
        from += array->offset;
        to += array->offset;
    }
    for (int64_t k = from; k < to; k++) {
        for (int64_t i = 0; i < schema->n_children; i++) {
            char part[128];
            nested_text(schema->children[i], array->children[i], k, part, sizeof(part));
            used += (size_t)snprintf(text + used, size - used, "%s;", part);
        }
    }
}

static inline void cell_text(const ps_column *column, int64_t row, char *text, size_t size)
{
    static ps_vector_scratch scratch;
    ps_vector vector;
    if (column->type.id == PS_TYPE_OPAQUE) {
        nested_text(column->arrow, column->array, column->array_offset + row, text, size);
        return;
    }
    ps_vector_load(column, NULL, row, 1, &scratch, &vector);
    if (vector.valid != NULL && vector.valid[0] == 0) {
        (void)snprintf(text, size, "-");
        return;
    }
    switch (vector.kind) {
    case PS_CLASS_BOOL: (void)snprintf(text, size, "%d", *(const uint8_t *)vector.values); break;
    case PS_CLASS_I64:
        (void)snprintf(text, size, "%lld", (long long)*(const int64_t *)vector.values);
        break;
    case PS_CLASS_U64:
        (void)snprintf(text, size, "%llu", (unsigned long long)*(const uint64_t *)vector.values);
        break;
    case PS_CLASS_F64: (void)snprintf(text, size, "%.17g", *(const double *)vector.values); break;
    case PS_CLASS_STR: {
        const ps_string *string = vector.values;
        size_t used = (size_t)snprintf(text, size, "\"");
        for (int64_t i = 0; i < string->size_bytes; i++) {
            used += (size_t)snprintf(text + used, size - used, "%02x", (uint8_t)string->data[i]);
        }
        break;
    }
    case PS_CLASS_NONE: (void)snprintf(text, size, "?"); break;
    }
}

/* Row i of b is row rows[i] of a (rows NULL: start + i). */
static inline void check_batch_rows(const ps_batch *a, const uint32_t *rows, int64_t start,
                                    const ps_batch *b)
{
    char want[256], got[256];
    for (int32_t c = 0; c < a->column_count; c++) {
        for (int64_t i = 0; i < b->length; i++) {
            cell_text(&a->columns[c], rows == NULL ? start + i : rows[i], want, sizeof(want));
            cell_text(&b->columns[c], i, got, sizeof(got));
            if (strcmp(want, got) != 0) {
                CHECK_FAIL("column %d row %lld: %s, not %s", c, (long long)i, got, want);
            }
        }
    }
}

#endif
