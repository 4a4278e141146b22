/* array.c -- checks ArrowArrays from outside and views them as columns. */
#include "arrow/array.h"

#include "base/bitmap.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ROWS_MAX ((int64_t)1 << 40) /* keeps every sum and product below from overflowing */
#define DEPTH_MAX 64

typedef struct check {
    const char *name; /* of the column, for messages */
    ps_error *err;
    int32_t depth;
    bool ends_only; /* of a dictionary far larger than the batch: content is checked when read */
} check;

static ps_status corrupt(const check *c, const char *what)
{
    return ps_fail(c->err, PS_CORRUPT, "column '%.100s': %s", c->name, what);
}

static ps_status check_rows(const check *c, const ArrowArray *array, const ArrowSchema *arrow,
                            const ps_type *type, int64_t start, int64_t length);

/* --- what the shape of each type is ----------------------------------------------------------- */

size_t ps_column_width(const ps_column *column)
{
    if (column->type.index != 0) {
        return (size_t)ps_type_of_index(column->type.index).width;
    }
    return (size_t)column->type.width;
}

ps_type ps_type_of_index(uint8_t index_id)
{
    static const int8_t widths[] = {[PS_TYPE_INT8] = 1,   [PS_TYPE_INT16] = 2, [PS_TYPE_INT32] = 4,
                                    [PS_TYPE_INT64] = 8,  [PS_TYPE_UINT8] = 1, [PS_TYPE_UINT16] = 2,
                                    [PS_TYPE_UINT32] = 4, [PS_TYPE_UINT64] = 8};
    PS_ASSERT(ps_type_is_integer(index_id));
    return (ps_type){.id = index_id, .width = widths[index_id]};
}

static bool is_large(uint8_t id)
{
    return id == PS_TYPE_LARGE_UTF8 || id == PS_TYPE_LARGE_BINARY;
}

static bool is_view(uint8_t id)
{
    return id == PS_TYPE_UTF8_VIEW || id == PS_TYPE_BINARY_VIEW;
}

static int64_t offset_at(const void *offsets, bool large, int64_t index)
{
    return large ? ((const int64_t *)offsets)[index] : ((const int32_t *)offsets)[index];
}

/* --- checks of content ------------------------------------------------------------------------ */

static bool ascends32(const int32_t *offsets, int64_t count)
{
    int32_t falls = 0;
    for (int64_t i = 0; i < count; i++) {
        falls |= offsets[i + 1] < offsets[i];
    }
    return falls == 0;
}

static bool ascends64(const int64_t *offsets, int64_t count)
{
    int64_t falls = 0;
    for (int64_t i = 0; i < count; i++) {
        falls |= offsets[i + 1] < offsets[i];
    }
    return falls == 0;
}

/* Offsets of rows [from, from + count): not negative, never falling. */
static ps_status check_offsets(const check *c, const void *offsets, bool large, int64_t from,
                               int64_t count)
{
    const int64_t first = offset_at(offsets, large, from);
    const int64_t last = offset_at(offsets, large, from + count);
    if (first < 0 || last < first) {
        char text[128];
        (void)snprintf(text, sizeof(text), "offsets run from %" PRId64 " to %" PRId64, first, last);
        return corrupt(c, text);
    }
    if (c->ends_only) {
        return PS_OK;
    }
    const bool good = large ? ascends64((const int64_t *)offsets + from, count)
                            : ascends32((const int32_t *)offsets + from, count);
    return good ? PS_OK : corrupt(c, "offsets are not in ascending order");
}

static bool view_is_good(const uint8_t *view, int64_t buffer_count, const int64_t *sizes)
{
    int32_t parts[4];
    memcpy(parts, view, sizeof(parts));
    if (PS_LIKELY((uint32_t)parts[0] <= 12)) {
        return true;
    }
    return parts[0] > 0 && parts[2] >= 0 && parts[2] < buffer_count && parts[3] >= 0 &&
           (int64_t)parts[3] + parts[0] <= sizes[parts[2]];
}

static ps_status check_views(const check *c, const ArrowArray *array, int64_t from, int64_t count)
{
    const int64_t buffer_count = array->n_buffers - 3;
    const int64_t *sizes = array->buffers[array->n_buffers - 1];
    if (buffer_count > 0 && sizes == NULL) {
        return corrupt(c, "the sizes of its data buffers are missing");
    }
    for (int64_t i = 0; i < buffer_count; i++) {
        if (sizes[i] < 0 || (sizes[i] > 0 && array->buffers[2 + i] == NULL)) {
            return corrupt(c, "a data buffer is missing");
        }
    }
    if (c->ends_only) {
        return PS_OK;
    }
    const uint8_t *views = (const uint8_t *)array->buffers[1] + from * 16;
    const uint8_t *validity = array->buffers[0];
    for (int64_t i = 0; i < count; i++) {
        if (PS_UNLIKELY(!view_is_good(views + i * 16, buffer_count, sizes)) &&
            (validity == NULL || ps_bit_get(validity, from + i))) {
            return corrupt(c, "a string view points outside its data buffers");
        }
    }
    return PS_OK;
}

#define INDEX_LIMITS(type)                                                                         \
    do {                                                                                           \
        const type *restrict indices = (const type *)values + from;                                \
        type least = indices[0], most = indices[0];                                                \
        for (int64_t i = 1; i < count; i++) {                                                      \
            least = indices[i] < least ? indices[i] : least;                                       \
            most = indices[i] > most ? indices[i] : most;                                          \
        }                                                                                          \
        return least >= 0 && (uint64_t)most < (uint64_t)size;                                      \
    } while (0)
#define INDEX_LIMITS_UNSIGNED(type)                                                                \
    do {                                                                                           \
        const type *restrict indices = (const type *)values + from;                                \
        type most = indices[0];                                                                    \
        for (int64_t i = 1; i < count; i++) {                                                      \
            most = indices[i] > most ? indices[i] : most;                                          \
        }                                                                                          \
        return (uint64_t)most < (uint64_t)size;                                                    \
    } while (0)

/* Whether all count > 0 indices lie in [0, size). */
static bool indices_fit(uint8_t id, const void *values, int64_t from, int64_t count, int64_t size)
{
    switch (id) {
    case PS_TYPE_INT8: INDEX_LIMITS(int8_t);
    case PS_TYPE_INT16: INDEX_LIMITS(int16_t);
    case PS_TYPE_INT32: INDEX_LIMITS(int32_t);
    case PS_TYPE_INT64: INDEX_LIMITS(int64_t);
    case PS_TYPE_UINT8: INDEX_LIMITS_UNSIGNED(uint8_t);
    case PS_TYPE_UINT16: INDEX_LIMITS_UNSIGNED(uint16_t);
    case PS_TYPE_UINT32: INDEX_LIMITS_UNSIGNED(uint32_t);
    default: INDEX_LIMITS_UNSIGNED(uint64_t);
    }
}

static ps_status check_indices(const check *c, uint8_t id, const ArrowArray *array, int64_t from,
                               int64_t count)
{
    const int64_t size = array->dictionary->length;
    const void *values = array->buffers[1];
    if (count == 0 || indices_fit(id, values, from, count, size)) {
        return PS_OK;
    }
    const uint8_t *validity = array->buffers[0];
    for (int64_t i = from; i < from + count; i++) { /* the index of a null may be anything */
        if ((validity == NULL || ps_bit_get(validity, i)) && !indices_fit(id, values, i, 1, size)) {
            char text[128];
            (void)snprintf(text, sizeof(text),
                           "row %" PRId64 " has an index outside its dictionary of %" PRId64
                           " values",
                           i - from, size);
            return corrupt(c, text);
        }
    }
    return PS_OK;
}

/* --- checks of shape -------------------------------------------------------------------------- */

static ps_status check_counts(const check *c, const ArrowArray *array, int64_t buffers,
                              int64_t children)
{
    if (array->n_buffers != buffers || array->n_children != children) {
        char text[160];
        (void)snprintf(text, sizeof(text),
                       "the array has %" PRId64 " buffers and %" PRId64
                       " children, must have %" PRId64 " and %" PRId64,
                       array->n_buffers, array->n_children, buffers, children);
        return corrupt(c, text);
    }
    if (buffers > 0 && array->buffers == NULL) {
        return corrupt(c, "the array has no pointer to its buffers");
    }
    if (children > 0 && array->children == NULL) {
        return corrupt(c, "the array has no pointer to its children");
    }
    for (int64_t i = 0; i < children; i++) {
        if (array->children[i] == NULL) {
            return corrupt(c, "a child array is missing");
        }
    }
    return PS_OK;
}

static ps_status check_span(const check *c, const ArrowArray *array, int64_t start, int64_t length)
{
    if (array->length < 0 || array->offset < 0 || array->length > ROWS_MAX ||
        array->offset > ROWS_MAX || array->null_count < -1 || array->null_count > array->length) {
        char text[160];
        (void)snprintf(text, sizeof(text),
                       "length %" PRId64 ", offset %" PRId64 " and null count %" PRId64
                       " are impossible",
                       array->length, array->offset, array->null_count);
        return corrupt(c, text);
    }
    if (length > array->length - start) {
        char text[128];
        (void)snprintf(text, sizeof(text), "the array has %" PRId64 " rows, must have %" PRId64,
                       array->length, start + length);
        return corrupt(c, text);
    }
    return PS_OK;
}

static ps_status check_child(const check *c, const ArrowSchema *arrow, const ArrowArray *array,
                             int64_t index, int64_t start, int64_t length)
{
    const check inner = {c->name, c->err, c->depth + 1, c->ends_only};
    if (inner.depth > DEPTH_MAX) {
        return corrupt(c, "it is nested too deep");
    }
    ps_type type;
    PS_TRY(ps_type_parse(arrow->children[index], &type, c->err));
    return check_rows(&inner, array->children[index], arrow->children[index], &type, start, length);
}

/* A list by offsets: its child has to have the rows that they name. */
static ps_status check_list(const check *c, const ArrowSchema *arrow, const ArrowArray *array,
                            int64_t start, int64_t length)
{
    const bool large = strcmp(arrow->format, "+L") == 0;
    PS_TRY(check_counts(c, array, 2, 1));
    if (length == 0) {
        return check_child(c, arrow, array, 0, 0, 0);
    }
    if (array->buffers[1] == NULL) {
        return corrupt(c, "its offsets are missing");
    }
    const int64_t from = array->offset + start;
    PS_TRY(check_offsets(c, array->buffers[1], large, from, length));
    const int64_t first = offset_at(array->buffers[1], large, from);
    const int64_t last = offset_at(array->buffers[1], large, from + length);
    if (last > ROWS_MAX) {
        return corrupt(c, "its offsets are impossibly large");
    }
    return check_child(c, arrow, array, 0, first, last - first);
}

static ps_status check_struct(const check *c, const ArrowSchema *arrow, const ArrowArray *array,
                              int64_t start, int64_t length)
{
    PS_TRY(check_counts(c, array, 1, arrow->n_children));
    for (int64_t i = 0; i < arrow->n_children; i++) {
        PS_TRY(check_child(c, arrow, array, i, array->offset + start, length));
    }
    return PS_OK;
}

/* Fixed-width values that have no type of their own here: decimals and intervals by their bytes. */
int32_t ps_arrow_fixed_width(const char *format)
{
    if (strcmp(format, "tiM") == 0) {
        return 4;
    }
    if (strcmp(format, "tiD") == 0) {
        return 8;
    }
    if (strcmp(format, "tin") == 0) {
        return 16;
    }
    int32_t precision, scale, bits;
    if (sscanf(format, "d:%9" SCNd32 ",%9" SCNd32 ",%9" SCNd32, &precision, &scale, &bits) == 3) {
        return bits / 8;
    }
    return 0;
}

/* Unions, run-ends and list views leave as they came: only what that needs is looked at. */
static ps_status check_carried(const check *c, const ArrowSchema *arrow, const ArrowArray *array)
{
    if (array->n_buffers < 0 || array->n_buffers > 3) {
        return corrupt(c, "the number of its buffers is impossible");
    }
    PS_TRY(check_counts(c, array, array->n_buffers, arrow->n_children));
    for (int64_t i = 0; i < arrow->n_children; i++) {
        PS_TRY(check_child(c, arrow, array, i, 0, 0));
    }
    return PS_OK;
}

static ps_status check_opaque(const check *c, const ArrowSchema *arrow, const ArrowArray *array,
                              int64_t start, int64_t length)
{
    const char *format = arrow->format;
    if (strcmp(format, "+l") == 0 || strcmp(format, "+L") == 0 || strcmp(format, "+m") == 0) {
        return check_list(c, arrow, array, start, length);
    }
    if (strcmp(format, "+s") == 0) {
        return check_struct(c, arrow, array, start, length);
    }
    int64_t size;
    if (sscanf(format, "+w:%9" SCNd64, &size) == 1) {
        PS_TRY(check_counts(c, array, 1, 1));
        int64_t rows;
        if (__builtin_mul_overflow(array->offset + start + length, size, &rows) ||
            rows > ROWS_MAX) {
            return corrupt(c, "its lists are impossibly large");
        }
        return check_child(c, arrow, array, 0, (array->offset + start) * size, length * size);
    }
    if (ps_arrow_fixed_width(format) > 0) {
        PS_TRY(check_counts(c, array, 2, 0));
        return length > 0 && array->buffers[1] == NULL ? corrupt(c, "its values are missing")
                                                       : PS_OK;
    }
    return check_carried(c, arrow, array);
}

static ps_status check_var(const check *c, const ps_type *type, const ArrowArray *array,
                           int64_t start, int64_t length)
{
    if (is_view(type->id)) {
        if (array->n_buffers < 3 || array->n_buffers > ROWS_MAX) {
            return corrupt(c, "a view array must have at least 3 buffers");
        }
        PS_TRY(check_counts(c, array, array->n_buffers, 0));
        if (length == 0) {
            return PS_OK;
        }
        if (array->buffers[1] == NULL) {
            return corrupt(c, "its views are missing");
        }
        return check_views(c, array, array->offset + start, length);
    }
    PS_TRY(check_counts(c, array, 3, 0));
    if (length == 0) {
        return PS_OK;
    }
    if (array->buffers[1] == NULL) {
        return corrupt(c, "its offsets are missing");
    }
    const int64_t from = array->offset + start;
    PS_TRY(check_offsets(c, array->buffers[1], is_large(type->id), from, length));
    const int64_t last = offset_at(array->buffers[1], is_large(type->id), from + length);
    if (array->buffers[2] == NULL && last > 0) {
        return corrupt(c, "its bytes are missing");
    }
    return PS_OK;
}

static ps_status check_dictionary(const check *c, const ArrowArray *array, const ArrowSchema *arrow,
                                  int64_t start, int64_t length)
{
    if (array->dictionary == NULL) {
        return corrupt(c, "its dictionary is missing");
    }
    const bool is_small = array->dictionary->length / 4 <= length + 1024;
    const check inner = {c->name, c->err, c->depth + 1, c->ends_only || !is_small};
    if (inner.depth > DEPTH_MAX) {
        return corrupt(c, "it is nested too deep");
    }
    ps_type index, value;
    const ArrowSchema plain = {.format = arrow->format};
    PS_TRY(ps_type_parse(&plain, &index, c->err));
    PS_TRY(ps_type_parse(arrow->dictionary, &value, c->err));
    PS_TRY(check_counts(c, array, 2, 0));
    if (length > 0 && array->buffers[1] == NULL) {
        return corrupt(c, "its indices are missing");
    }
    PS_TRY(check_rows(&inner, array->dictionary, arrow->dictionary, &value, 0,
                      array->dictionary->length));
    return check_indices(c, index.id, array, array->offset + start, length);
}

static ps_status check_rows(const check *c, const ArrowArray *array, const ArrowSchema *arrow,
                            const ps_type *type, int64_t start, int64_t length)
{
    if (array->release == NULL) {
        return corrupt(c, "the array has already been released");
    }
    PS_TRY(check_span(c, array, start, length));
    if (type->id == PS_TYPE_NULL && arrow->dictionary == NULL) {
        return check_counts(c, array, 0, 0);
    }
    if (arrow->dictionary != NULL) {
        PS_TRY(check_dictionary(c, array, arrow, start, length));
    } else if (type->id == PS_TYPE_OPAQUE) {
        PS_TRY(check_opaque(c, arrow, array, start, length));
    } else if (ps_type_is_var(type->id)) {
        PS_TRY(check_var(c, type, array, start, length));
    } else {
        PS_TRY(check_counts(c, array, 2, 0));
        if (length > 0 && array->buffers[1] == NULL &&
            (type->width > 0 || type->id == PS_TYPE_BOOL)) {
            return corrupt(c, "its values are missing");
        }
    }
    if (array->null_count > 0 && array->n_buffers > 0 && array->buffers[0] == NULL &&
        arrow->format[0] != '+') {
        return corrupt(c, "it has nulls but no validity bitmap");
    }
    return PS_OK;
}

ps_status ps_array_check(const ps_type *type, const ArrowSchema *arrow, const ArrowArray *array,
                         int64_t start, int64_t length, const char *name, ps_error *err)
{
    const check c = {name, err, 0, false};
    return check_rows(&c, array, arrow, type, start, length);
}

/* --- views ------------------------------------------------------------------------------------ */

static const char no_bytes[1] = "";
static const int64_t no_offsets[2] = {0, 0};

void ps_array_view(const ps_type *type, const ArrowSchema *arrow, const ArrowArray *array,
                   int64_t start, int64_t length, ps_column *out)
{
    const int64_t from = array->offset + start;
    *out = (ps_column){
        .type = *type,
        .length = length,
        .null_count = array->null_count,
        .array = array,
        .array_offset = start,
    };
    if (type->id == PS_TYPE_OPAQUE) {
        out->arrow = arrow;
    }
    if (array->null_count != 0 && (start != 0 || length != array->length)) {
        out->null_count = -1;
    }
    if (array->n_buffers > 0 && array->buffers[0] != NULL && array->null_count != 0 &&
        (type->id != PS_TYPE_OPAQUE || strncmp(arrow->format, "+u", 2) != 0)) {
        out->validity = array->buffers[0];
        out->validity_bit = from;
    } else if (type->id != PS_TYPE_NULL) {
        out->null_count = 0;
    }
    if (type->id == PS_TYPE_NULL) {
        out->null_count = length;
    } else if (type->id == PS_TYPE_OPAQUE) {
        return;
    } else if (type->id == PS_TYPE_BOOL && type->index == 0) {
        out->values = array->buffers[1];
        out->values_bit = from;
    } else if (type->index == 0 && is_view(type->id)) {
        out->values =
            array->buffers[1] == NULL ? NULL : (const uint8_t *)array->buffers[1] + from * 16;
        out->view_buffers = array->buffers + 2;
        out->view_buffer_count = array->n_buffers - 3;
    } else if (type->index == 0 && ps_type_is_var(type->id)) {
        const int64_t width = is_large(type->id) ? 8 : 4;
        out->values = array->buffers[2] == NULL ? no_bytes : array->buffers[2];
        out->offsets = array->buffers[1] == NULL
                           ? (const void *)no_offsets
                           : (const uint8_t *)array->buffers[1] + from * width;
    } else if (array->buffers[1] != NULL) {
        out->values = (const uint8_t *)array->buffers[1] + from * (int64_t)ps_column_width(out);
    }
}
