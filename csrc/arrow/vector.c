/* vector.c -- columns into vectors: the one place that knows every Arrow layout.
 *
 * Each layout has a tight loop for consecutive rows and one for picked rows. Cost per value:
 * nothing for 64-bit values of consecutive rows, under 1 ns for narrow ones, about 1 for strings.
 * Nothing here can fail: import has checked the column, and what it left unchecked (the content of
 * large dictionaries) is bounded again where it is read.
 */
#include "arrow/vector.h"

#include "arrow/array.h"
#include "base/bitmap.h"

ps_class ps_type_class(const ps_type *type)
{
    switch ((ps_type_id)type->id) {
    case PS_TYPE_BOOL: return PS_CLASS_BOOL;
    case PS_TYPE_INT8:
    case PS_TYPE_INT16:
    case PS_TYPE_INT32:
    case PS_TYPE_INT64:
    case PS_TYPE_DATE32:
    case PS_TYPE_DATE64:
    case PS_TYPE_TIME32:
    case PS_TYPE_TIME64:
    case PS_TYPE_TIMESTAMP:
    case PS_TYPE_DURATION: return PS_CLASS_I64;
    case PS_TYPE_UINT8:
    case PS_TYPE_UINT16:
    case PS_TYPE_UINT32:
    case PS_TYPE_UINT64: return PS_CLASS_U64;
    case PS_TYPE_FLOAT32:
    case PS_TYPE_FLOAT64: return PS_CLASS_F64;
    case PS_TYPE_DECIMAL128:
    case PS_TYPE_UTF8:
    case PS_TYPE_LARGE_UTF8:
    case PS_TYPE_UTF8_VIEW:
    case PS_TYPE_BINARY:
    case PS_TYPE_LARGE_BINARY:
    case PS_TYPE_BINARY_VIEW:
    case PS_TYPE_FIXED_BINARY: return PS_CLASS_STR;
    case PS_TYPE_NULL:
    case PS_TYPE_FLOAT16:
    case PS_TYPE_OPAQUE: break;
    }
    return PS_CLASS_NONE;
}

size_t ps_class_width(ps_class kind)
{
    static const uint8_t widths[] = {0, 1, 8, 8, 8, sizeof(ps_string)};
    return widths[kind];
}

/* --- validity --------------------------------------------------------------------------------- */

static const uint8_t *load_valid(const ps_column *column, const uint32_t *rows, int64_t start,
                                 int64_t count, uint8_t *valid)
{
    if (PS_LIKELY(column->validity == NULL)) {
        return NULL;
    }
    if (rows == NULL) {
        const int64_t bit = column->validity_bit + start;
        if (ps_bitmap_all(column->validity, bit, count)) {
            return NULL;
        }
        ps_bitmap_to_bytes(column->validity, bit, count, valid);
        return valid;
    }
    ps_bitmap_gather(column->validity, column->validity_bit, rows, count, valid);
    uint8_t all = 1;
    for (int64_t i = 0; i < count; i++) {
        all &= valid[i];
    }
    return all != 0 ? NULL : valid;
}

/* --- numbers ---------------------------------------------------------------------------------- */

/* Widens rows of one C type into another. */
#define LOAD(from_type, to_type)                                                                   \
    do {                                                                                           \
        const from_type *restrict from = (const from_type *)column->values;                        \
        to_type *restrict to = (to_type *)(void *)scratch->values;                                 \
        if (rows == NULL) {                                                                        \
            from += start;                                                                         \
            for (int64_t i = 0; i < count; i++) {                                                  \
                to[i] = (to_type)from[i];                                                          \
            }                                                                                      \
        } else {                                                                                   \
            for (int64_t i = 0; i < count; i++) {                                                  \
                PS_PREFETCH_STREAM(&from[rows[i]]);                                                \
                to[i] = (to_type)from[rows[i]];                                                    \
            }                                                                                      \
        }                                                                                          \
        return scratch->values;                                                                    \
    } while (0)

static const void *load_number(const ps_column *column, const uint32_t *rows, int64_t start,
                               int64_t count, ps_vector_scratch *scratch)
{
    switch (column->type.id) {
    case PS_TYPE_INT8: LOAD(int8_t, int64_t);
    case PS_TYPE_INT16: LOAD(int16_t, int64_t);
    case PS_TYPE_INT32:
    case PS_TYPE_DATE32:
    case PS_TYPE_TIME32: LOAD(int32_t, int64_t);
    case PS_TYPE_UINT8: LOAD(uint8_t, uint64_t);
    case PS_TYPE_UINT16: LOAD(uint16_t, uint64_t);
    case PS_TYPE_UINT32: LOAD(uint32_t, uint64_t);
    case PS_TYPE_FLOAT32: LOAD(float, double);
    default: break;
    }
    if (rows == NULL) {
        return (const uint64_t *)column->values + start;
    }
    LOAD(uint64_t, uint64_t);
}

static const void *load_bool(const ps_column *column, const uint32_t *rows, int64_t start,
                             int64_t count, ps_vector_scratch *scratch)
{
    if (rows == NULL) {
        ps_bitmap_to_bytes(column->values, column->values_bit + start, count, scratch->values);
    } else {
        ps_bitmap_gather(column->values, column->values_bit, rows, count, scratch->values);
    }
    return scratch->values;
}

/* --- strings ---------------------------------------------------------------------------------- */

/* Offsets that fall or leave the bytes make `bad`; the caller then reads row by row. */
#define LOAD_STRINGS(type)                                                                         \
    do {                                                                                           \
        const type *restrict offsets = (const type *)column->offsets;                              \
        const char *base = column->values;                                                         \
        const type least = offsets[0], most = offsets[column->length];                             \
        type bad = 0;                                                                              \
        if (rows == NULL) {                                                                        \
            offsets += start;                                                                      \
            for (int64_t i = 0; i < count; i++) {                                                  \
                const type from = offsets[i], to = offsets[i + 1];                                 \
                strings[i].data = base + from;                                                     \
                strings[i].size_bytes = (int64_t)to - from;                                        \
                bad |= to < from;                                                                  \
            }                                                                                      \
            return bad == 0 && offsets[0] >= least && offsets[count] <= most;                      \
        }                                                                                          \
        for (int64_t i = 0; i < count; i++) {                                                      \
            const type from = offsets[rows[i]], to = offsets[(int64_t)rows[i] + 1];                \
            strings[i].data = base + from;                                                         \
            strings[i].size_bytes = (int64_t)to - from;                                            \
            bad |= (to < from) | (from < least) | (to > most);                                     \
        }                                                                                          \
        return bad == 0;                                                                           \
    } while (0)

static bool load_offsets32(const ps_column *column, const uint32_t *rows, int64_t start,
                           int64_t count, ps_string *restrict strings)
{
    LOAD_STRINGS(int32_t);
}

static bool load_offsets64(const ps_column *column, const uint32_t *rows, int64_t start,
                           int64_t count, ps_string *restrict strings)
{
    LOAD_STRINGS(int64_t);
}

static void load_views(const ps_column *column, const uint32_t *rows, int64_t start, int64_t count,
                       const uint8_t *valid, ps_string *strings)
{
    const uint8_t *views = column->values;
    for (int64_t i = 0; i < count; i++) {
        const int64_t row = rows == NULL ? start + i : rows[i];
        if (PS_UNLIKELY(valid != NULL && valid[i] == 0)) { /* may point anywhere */
            strings[i] = (ps_string){"", 0};
        } else {
            strings[i] = ps_view_string(column, views + row * 16);
        }
    }
}

static void load_fixed(const ps_column *column, const uint32_t *rows, int64_t start, int64_t count,
                       ps_string *strings)
{
    const int64_t width = column->type.width;
    const char *base = width == 0 ? "" : column->values;
    for (int64_t i = 0; i < count; i++) {
        const int64_t row = rows == NULL ? start + i : rows[i];
        strings[i] = (ps_string){base + row * width, width};
    }
}

static void empty_nulls(ps_string *strings, const uint8_t *valid, int64_t count)
{
    if (valid != NULL) {
        for (int64_t i = 0; i < count; i++) {
            strings[i].size_bytes &= -(int64_t)valid[i];
        }
    }
}

static const void *load_string(const ps_column *column, const uint32_t *rows, int64_t start,
                               int64_t count, const uint8_t *valid, ps_vector_scratch *scratch)
{
    ps_string *strings = (ps_string *)(void *)scratch->values;
    bool good = true;
    switch (column->type.id) {
    case PS_TYPE_UTF8:
    case PS_TYPE_BINARY: good = load_offsets32(column, rows, start, count, strings); break;
    case PS_TYPE_LARGE_UTF8:
    case PS_TYPE_LARGE_BINARY: good = load_offsets64(column, rows, start, count, strings); break;
    case PS_TYPE_UTF8_VIEW:
    case PS_TYPE_BINARY_VIEW: load_views(column, rows, start, count, valid, strings); break;
    default: load_fixed(column, rows, start, count, strings); break;
    }
    if (PS_UNLIKELY(!good)) {
        for (int64_t i = 0; i < count; i++) {
            strings[i] = ps_column_string(column, rows == NULL ? start + i : rows[i]);
        }
    }
    empty_nulls(strings, valid, count);
    return strings;
}

/* --- dictionaries ----------------------------------------------------------------------------- */

/* An index outside the dictionary can only be that of a null row: it reads value 0. */
#define PICK(unsigned_type)                                                                        \
    do {                                                                                           \
        const unsigned_type *restrict from = (const unsigned_type *)column->values;                \
        for (int64_t i = 0; i < count; i++) {                                                      \
            const unsigned_type index = from[rows == NULL ? start + i : rows[i]];                  \
            picked[i] = index < size ? (uint32_t)index : 0;                                        \
        }                                                                                          \
    } while (0)

static void pick_indices(const ps_column *column, const uint32_t *rows, int64_t start,
                         int64_t count, uint32_t *restrict picked)
{
    const uint64_t size = (uint64_t)ps_min_i64(column->dictionary->length, UINT32_MAX);
    switch (column->type.index) { /* a negative index is a large one, read as unsigned */
    case PS_TYPE_INT8:
    case PS_TYPE_UINT8: PICK(uint8_t); break;
    case PS_TYPE_INT16:
    case PS_TYPE_UINT16: PICK(uint16_t); break;
    case PS_TYPE_INT32:
    case PS_TYPE_UINT32: PICK(uint32_t); break;
    default: PICK(uint64_t); break;
    }
}

static void load_dictionary(const ps_column *column, const uint32_t *rows, int64_t start,
                            int64_t count, ps_vector_scratch *scratch, ps_vector *out)
{
    uint32_t picked[PS_CHUNK_ROWS];
    uint8_t row_valid[PS_CHUNK_ROWS];
    const uint8_t *valid = load_valid(column, rows, start, count, row_valid);
    out->kind = ps_type_class(&column->type);
    if (column->dictionary->length == 0) { /* all rows are null */
        memset(scratch->values, 0, (size_t)count * ps_class_width(out->kind));
        memset(scratch->valid, 0, (size_t)count);
        out->values = scratch->values;
        out->valid = scratch->valid;
        return;
    }
    pick_indices(column, rows, start, count, picked);
    ps_vector_load(column->dictionary, picked, 0, count, scratch, out);
    if (valid == NULL) {
        return;
    }
    if (out->valid == NULL) {
        memcpy(scratch->valid, valid, (size_t)count);
    } else {
        for (int64_t i = 0; i < count; i++) {
            scratch->valid[i] &= valid[i];
        }
    }
    out->valid = scratch->valid;
    if (out->kind == PS_CLASS_STR) {
        empty_nulls((ps_string *)(void *)scratch->values, out->valid, count);
    }
}

void ps_vector_load(const ps_column *column, const uint32_t *rows, int64_t start, int64_t count,
                    ps_vector_scratch *scratch, ps_vector *out)
{
    PS_ASSERT(count >= 0 && count <= PS_CHUNK_ROWS);
    PS_ASSERT(rows != NULL || (start >= 0 && start + count <= column->length));
    if (PS_UNLIKELY(count == 0)) {
        *out = (ps_vector){ps_type_class(&column->type), scratch->values, NULL};
        return;
    }
    if (column->type.index != 0) {
        load_dictionary(column, rows, start, count, scratch, out);
        return;
    }
    out->kind = ps_type_class(&column->type);
    out->valid = load_valid(column, rows, start, count, scratch->valid);
    switch (out->kind) {
    case PS_CLASS_BOOL: out->values = load_bool(column, rows, start, count, scratch); break;
    case PS_CLASS_I64:
    case PS_CLASS_U64:
    case PS_CLASS_F64: out->values = load_number(column, rows, start, count, scratch); break;
    case PS_CLASS_STR:
        out->values = load_string(column, rows, start, count, out->valid, scratch);
        break;
    case PS_CLASS_NONE:
        if (column->type.id == PS_TYPE_NULL) {
            memset(scratch->valid, 0, (size_t)count);
            out->valid = scratch->valid;
        }
        out->values = NULL;
        break;
    }
}
