/* column.c -- reading single values of a column, and views of some of its rows. */
#include "arrow/array.h"

#include "base/bitmap.h"

ps_string ps_column_string(const ps_column *column, int64_t row)
{
    PS_ASSERT(column->type.index == 0);
    const ps_string empty = {"", 0};
    if (!ps_column_is_valid(column, row)) {
        return empty;
    }
    int64_t from, to, least, most;
    switch (column->type.id) {
    case PS_TYPE_UTF8:
    case PS_TYPE_BINARY: {
        const int32_t *offsets = column->offsets;
        from = offsets[row];
        to = offsets[row + 1];
        least = offsets[0];
        most = offsets[column->length];
        break;
    }
    case PS_TYPE_LARGE_UTF8:
    case PS_TYPE_LARGE_BINARY: {
        const int64_t *offsets = column->offsets;
        from = offsets[row];
        to = offsets[row + 1];
        least = offsets[0];
        most = offsets[column->length];
        break;
    }
    case PS_TYPE_UTF8_VIEW:
    case PS_TYPE_BINARY_VIEW:
        return ps_view_string(column, (const uint8_t *)column->values + row * 16);
    case PS_TYPE_FIXED_BINARY:
    case PS_TYPE_DECIMAL128: {
        const int64_t width = column->type.width;
        if (width == 0) {
            return empty;
        }
        return (ps_string){(const char *)column->values + row * width, width};
    }
    default: return empty;
    }
    if (PS_UNLIKELY(from < least || to < from || to > most)) {
        return empty;
    }
    return (ps_string){(const char *)column->values + from, to - from};
}

int64_t ps_column_dictionary_index(const ps_column *column, int64_t row)
{
    switch (column->type.index) {
    case PS_TYPE_INT8: return ((const int8_t *)column->values)[row];
    case PS_TYPE_INT16: return ((const int16_t *)column->values)[row];
    case PS_TYPE_INT32: return ((const int32_t *)column->values)[row];
    case PS_TYPE_INT64: return ((const int64_t *)column->values)[row];
    case PS_TYPE_UINT8: return ((const uint8_t *)column->values)[row];
    case PS_TYPE_UINT16: return ((const uint16_t *)column->values)[row];
    case PS_TYPE_UINT32: return ((const uint32_t *)column->values)[row];
    default: return (int64_t)((const uint64_t *)column->values)[row];
    }
}

static const void *advance(const void *pointer, int64_t bytes)
{
    return pointer == NULL ? NULL : (const uint8_t *)pointer + bytes;
}

void ps_column_slice(const ps_column *column, int64_t start, int64_t length, ps_column *out)
{
    PS_ASSERT(start >= 0 && length >= 0 && start + length <= column->length);
    const bool is_whole = start == 0 && length == column->length;
    *out = *column;
    out->length = length;
    out->array_offset += start;
    if (column->type.id == PS_TYPE_NULL) {
        out->null_count = length;
    } else if (column->null_count != 0 && !is_whole) {
        out->null_count = -1;
    }
    if (out->validity != NULL) {
        out->validity_bit += start;
    }
    switch (column->type.index != 0 ? (ps_type_id)column->type.index
                                    : (ps_type_id)column->type.id) {
    case PS_TYPE_NULL:
    case PS_TYPE_OPAQUE: break;
    case PS_TYPE_BOOL: out->values_bit += start; break;
    case PS_TYPE_UTF8:
    case PS_TYPE_BINARY: out->offsets = advance(out->offsets, start * 4); break;
    case PS_TYPE_LARGE_UTF8:
    case PS_TYPE_LARGE_BINARY: out->offsets = advance(out->offsets, start * 8); break;
    case PS_TYPE_UTF8_VIEW:
    case PS_TYPE_BINARY_VIEW: out->values = advance(out->values, start * 16); break;
    default: out->values = advance(out->values, start * (int64_t)ps_column_width(column)); break;
    }
}

int64_t ps_column_count_nulls(const ps_column *column)
{
    if (column->type.id == PS_TYPE_NULL) {
        return column->length;
    }
    if (column->null_count >= 0 || column->validity == NULL) {
        return column->validity == NULL ? 0 : column->null_count;
    }
    return column->length - ps_bitmap_count(column->validity, column->validity_bit, column->length);
}
