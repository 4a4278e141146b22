/* take.c -- ps_column_take: the chosen rows of a column as a new one. */
#include "arrow/take.h"

#include "arrow/array.h"
#include "base/bitmap.h"

#include <string.h>

static bool is_large(uint8_t id)
{
    return id == PS_TYPE_LARGE_UTF8 || id == PS_TYPE_LARGE_BINARY;
}

/* Gathers bits eight rows a byte; answers how many are clear. */
static int64_t take_bits(const uint8_t *bits, int64_t bit, const uint32_t *rows, int64_t count,
                         uint8_t *to)
{
    int64_t set = 0;
    for (int64_t i = 0; i < count; i += 8) {
        const int64_t n = ps_min_i64(8, count - i);
        uint32_t byte = 0;
        for (int64_t k = 0; k < n; k++) {
            const int64_t at = bit + rows[i + k];
            byte |= (uint32_t)((bits[at >> 3] >> (at & 7)) & 1) << k;
        }
        to[i >> 3] = (uint8_t)byte;
        set += __builtin_popcount(byte);
    }
    return count - set;
}

ps_status ps_take_validity(const ps_column *column, const uint32_t *rows, int64_t count,
                           ps_buffers *buffers, int32_t index, ps_column *out, ps_error *err)
{
    out->null_count = 0;
    if (column->validity == NULL || count == 0) {
        return PS_OK;
    }
    PS_TRY(ps_buffers_alloc(buffers, index, (size_t)(count + 7) / 8, "a validity bitmap", err));
    uint8_t *bits = buffers->blocks[index].data;
    out->null_count = take_bits(column->validity, column->validity_bit, rows, count, bits);
    if (out->null_count > 0) {
        out->validity = bits;
    }
    return PS_OK;
}

#define GATHER(type)                                                                               \
    do {                                                                                           \
        const type *restrict from = values;                                                        \
        type *restrict to = taken;                                                                 \
        for (int64_t i = 0; i < count; i++) {                                                      \
            to[i] = from[rows[i]];                                                                 \
        }                                                                                          \
    } while (0)

typedef struct pair {
    uint64_t low, high;
} pair;

static void gather_fixed(const void *values, size_t width, const uint32_t *rows, int64_t count,
                         void *taken)
{
    switch (width) {
    case 1: GATHER(uint8_t); return;
    case 2: GATHER(uint16_t); return;
    case 4: GATHER(uint32_t); return;
    case 8: GATHER(uint64_t); return;
    default: break;
    }
    if (width == 16 && ((uintptr_t)values & 7) == 0) {
        GATHER(pair);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        memcpy((uint8_t *)taken + (size_t)i * width, (const uint8_t *)values + rows[i] * width,
               width);
    }
}

static ps_status take_fixed(const ps_column *column, const uint32_t *rows, int64_t count,
                            ps_buffers *buffers, ps_column *out, ps_error *err)
{
    const size_t width = ps_column_width(column);
    PS_TRY(ps_buffers_alloc(buffers, 1, (size_t)count * width, "taken values", err));
    if (width > 0) {
        gather_fixed(column->values, width, rows, count, buffers->blocks[1].data);
    }
    out->values = buffers->blocks[1].data;
    return PS_OK;
}

static ps_status take_bool(const ps_column *column, const uint32_t *rows, int64_t count,
                           ps_buffers *buffers, ps_column *out, ps_error *err)
{
    PS_TRY(ps_buffers_alloc(buffers, 1, (size_t)(count + 7) / 8, "taken values", err));
    (void)take_bits(column->values, column->values_bit, rows, count, buffers->blocks[1].data);
    out->values = buffers->blocks[1].data;
    return PS_OK;
}

#define TAKE_BYTES(type)                                                                           \
    do {                                                                                           \
        const type *from = column->offsets;                                                        \
        type *to = buffers->blocks[1].data;                                                        \
        uint8_t *bytes = buffers->blocks[2].data;                                                  \
        int64_t at = 0;                                                                            \
        for (int64_t i = 0; i < count; i++) {                                                      \
            const type start = from[rows[i]];                                                      \
            const size_t size = (size_t)(from[rows[i] + 1] - start);                               \
            to[i] = (type)at;                                                                      \
            ps_copy_short(bytes + at, values + start, size);                                       \
            at += (int64_t)size;                                                                   \
        }                                                                                          \
        to[count] = (type)at;                                                                      \
    } while (0)

/* The bytes under a null come along: telling them apart would cost more than copying them. */
static ps_status take_var(const ps_column *column, const uint32_t *rows, int64_t count,
                          ps_buffers *buffers, ps_column *out, ps_error *err)
{
    const bool large = is_large(column->type.id);
    const uint8_t *values = column->values;
    int64_t total = 0;
    for (int64_t i = 0; i < count; i++) {
        const int64_t row = rows[i];
        total += large ? ((const int64_t *)column->offsets)[row + 1] -
                             ((const int64_t *)column->offsets)[row]
                       : ((const int32_t *)column->offsets)[row + 1] -
                             ((const int32_t *)column->offsets)[row];
    }
    if (!large && total > INT32_MAX) {
        return ps_fail(err, PS_OVERFLOW,
                       "taken strings have %lld bytes, at most 2147483647 fit 32-bit offsets",
                       (long long)total);
    }
    const size_t offset_bytes = (size_t)(count + 1) * (large ? 8 : 4);
    PS_TRY(ps_buffers_alloc(buffers, 1, offset_bytes, "taken offsets", err));
    PS_TRY(ps_buffers_alloc(buffers, 2, (size_t)total, "taken strings", err));
    if (large) {
        TAKE_BYTES(int64_t);
    } else {
        TAKE_BYTES(int32_t);
    }
    out->offsets = buffers->blocks[1].data;
    out->values = buffers->blocks[2].data;
    return PS_OK;
}

static ps_status take_plain(const ps_column *column, const uint32_t *rows, int64_t count,
                            ps_buffers *buffers, ps_column *out, ps_error *err)
{
    PS_TRY(ps_take_validity(column, rows, count, buffers, 0, out, err));
    if (column->type.index != 0) {
        ps_buffers_lean(buffers, column->owner);
        out->dictionary = column->dictionary;
        return take_fixed(column, rows, count, buffers, out, err);
    }
    switch (column->type.id) {
    case PS_TYPE_NULL: out->null_count = count; return PS_OK;
    case PS_TYPE_BOOL: return take_bool(column, rows, count, buffers, out, err);
    case PS_TYPE_UTF8:
    case PS_TYPE_BINARY:
    case PS_TYPE_LARGE_UTF8:
    case PS_TYPE_LARGE_BINARY: return take_var(column, rows, count, buffers, out, err);
    case PS_TYPE_UTF8_VIEW:
    case PS_TYPE_BINARY_VIEW: {
        ps_buffers_lean(buffers, column->owner);
        out->view_buffers = column->view_buffers;
        out->view_buffer_count = column->view_buffer_count;
        PS_TRY(ps_buffers_alloc(buffers, 1, (size_t)count * 16, "taken views", err));
        gather_fixed(column->values, 16, rows, count, buffers->blocks[1].data);
        out->values = buffers->blocks[1].data;
        return PS_OK;
    }
    default: return take_fixed(column, rows, count, buffers, out, err);
    }
}

ps_status ps_column_take(ps_mem *mem, const ps_column *column, const uint32_t *rows, int64_t count,
                         ps_column *out, ps_error *err)
{
    PS_ASSERT(count >= 0);
    *out = (ps_column){.type = column->type, .length = count};
    if (column->type.id == PS_TYPE_OPAQUE) {
        return ps_take_nested(mem, column, rows, count, out, err);
    }
    ps_buffers *buffers;
    PS_TRY(ps_buffers_create(mem, &buffers, err));
    const ps_status status = take_plain(column, rows, count, buffers, out, err);
    if (status != PS_OK) {
        ps_owner_release(&buffers->owner);
        *out = (ps_column){0};
        return status;
    }
    out->owner = &buffers->owner;
    return PS_OK;
}
