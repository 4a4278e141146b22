/* size.c -- see size.h. */
#include "arrow/size.h"

#include <stdlib.h>
#include <string.h>

#include "arrow/array.h"

enum { VIEW_BYTES = 16, VIEW_INLINE = 12, UNION_BYTES = 5 };

static int64_t bits(int64_t length)
{
    return (length + 7) / 8;
}

/* The views, and the bytes that lie outside them. The view of a null row may say anything. */
static int64_t views_bytes(const ps_column *column)
{
    const uint8_t *const views = column->values;
    const bool has_nulls = column->validity != NULL && column->null_count != 0;
    int64_t bytes = column->length * VIEW_BYTES;
    for (int64_t i = 0; i < column->length; i++) {
        int32_t size;
        memcpy(&size, views + i * VIEW_BYTES, sizeof(size));
        const bool outside = size > VIEW_INLINE && (!has_nulls || ps_column_is_valid(column, i));
        bytes += outside ? size : 0;
    }
    return bytes;
}

static int64_t offset_at(const void *offsets, int64_t width, int64_t index)
{
    return width == 8 ? ((const int64_t *)offsets)[index] : ((const int32_t *)offsets)[index];
}

static int64_t array_bytes(const ArrowSchema *arrow, const ArrowArray *array, int64_t start,
                           int64_t length);

static int64_t children_bytes(const ArrowSchema *arrow, const ArrowArray *array, int64_t start,
                              int64_t length)
{
    int64_t bytes = 0;
    for (int64_t i = 0; i < array->n_children; i++) {
        bytes += array_bytes(arrow->children[i], array->children[i], start, length);
    }
    return bytes;
}

/* What is below rows whose children are found through offsets in any order: their share of it. */
static int64_t share_bytes(const ArrowSchema *arrow, const ArrowArray *array, int64_t length)
{
    int64_t whole = 0;
    for (int64_t i = 0; i < array->n_children; i++) {
        whole += array_bytes(arrow->children[i], array->children[i], 0, array->children[i]->length);
    }
    return array->length <= length
               ? whole
               : (int64_t)((double)whole * (double)length / (double)array->length);
}

/* Rows [start, start + length) past the array's offset. Only of arrays that ps_array_check let
 * pass, so it does not go deeper than that does. */
static int64_t nested_bytes(const ArrowSchema *arrow, const ArrowArray *array, int64_t start,
                            int64_t length)
{
    const char *const format = arrow->format;
    const int64_t from = array->offset + start;
    switch (format[1]) {
    case 'l':
    case 'm':
    case 'L': {
        const int64_t width = format[1] == 'L' ? 8 : 4;
        const void *const offsets = array->buffers[1];
        if (length == 0 || offsets == NULL) {
            return 0;
        }
        const int64_t first = offset_at(offsets, width, from);
        const int64_t end = offset_at(offsets, width, from + length);
        return length * width + children_bytes(arrow, array, first, end - first);
    }
    case 'w': {
        const int64_t size = strtoll(format + 3, NULL, 10);
        return children_bytes(arrow, array, from * size, length * size);
    }
    case 's': return children_bytes(arrow, array, from, length);
    case 'u': return length * UNION_BYTES + share_bytes(arrow, array, length);
    case 'v': return length * 2 * (format[2] == 'L' ? 8 : 4) + share_bytes(arrow, array, length);
    default: return share_bytes(arrow, array, length); /* run ends */
    }
}

static int64_t array_bytes(const ArrowSchema *arrow, const ArrowArray *array, int64_t start,
                           int64_t length)
{
    ps_type type;
    if (ps_type_parse(arrow, &type, NULL) != PS_OK) {
        return 0; /* no such column passes the import */
    }
    if (type.index == 0 && type.id == PS_TYPE_OPAQUE) {
        const bool has_validity = array->n_buffers > 0 && array->buffers[0] != NULL;
        const int64_t own = has_validity ? bits(length) : 0;
        if (arrow->dictionary != NULL) { /* of nested values: its indices */
            return own + length * 8;
        }
        return own + (arrow->format[0] == '+' ? nested_bytes(arrow, array, start, length)
                                              : length * ps_arrow_fixed_width(arrow->format));
    }
    ps_column column;
    ps_array_view(&type, arrow, array, start, length, &column);
    return ps_column_size_bytes(&column);
}

int64_t ps_column_size_bytes(const ps_column *column)
{
    const int64_t length = column->length;
    const int64_t bytes = column->validity == NULL ? 0 : bits(length);
    if (column->type.index != 0) {
        return bytes + length * (int64_t)ps_column_width(column);
    }
    switch (column->type.id) {
    case PS_TYPE_NULL: return 0;
    case PS_TYPE_BOOL: return bytes + bits(length);
    case PS_TYPE_UTF8:
    case PS_TYPE_BINARY: {
        const int32_t *const offsets = column->offsets;
        return bytes + length * 4 + (length == 0 ? 0 : offsets[length] - offsets[0]);
    }
    case PS_TYPE_LARGE_UTF8:
    case PS_TYPE_LARGE_BINARY: {
        const int64_t *const offsets = column->offsets;
        return bytes + length * 8 + (length == 0 ? 0 : offsets[length] - offsets[0]);
    }
    case PS_TYPE_UTF8_VIEW:
    case PS_TYPE_BINARY_VIEW: return bytes + views_bytes(column);
    case PS_TYPE_OPAQUE:
        return column->arrow == NULL
                   ? bytes
                   : array_bytes(column->arrow, column->array, column->array_offset, length);
    default: return bytes + length * column->type.width;
    }
}
