/* writer.c -- vectors into a new column, chunk by chunk.
 *
 * Fixed-width values live in a block of the final size, bytes of strings in one that doubles. The
 * validity bitmap is made at the first null. Values under nulls are written as zero, so that equal
 * columns are equal byte for byte.
 */
#include "arrow/array.h"
#include "arrow/buffers.h"
#include "arrow/vector.h"
#include "base/bitmap.h"

#include <inttypes.h>

enum { VALIDITY = 0, VALUES = 1, BYTES = 2 }; /* blocks of the buffers */

struct ps_writer {
    ps_mem *mem;
    ps_type type;
    ps_class kind;
    int64_t capacity;
    int64_t length;
    int64_t null_count;
    int64_t bytes_used; /* of BYTES */
    ps_buffers *buffers;
};

static size_t values_bytes(const ps_type *type, int64_t capacity)
{
    const size_t rows = (size_t)capacity;
    switch (type->id) {
    case PS_TYPE_NULL: return 0;
    case PS_TYPE_BOOL: return (rows + 7) / 8;
    case PS_TYPE_UTF8:
    case PS_TYPE_BINARY: return (rows + 1) * 4;
    case PS_TYPE_LARGE_UTF8:
    case PS_TYPE_LARGE_BINARY: return (rows + 1) * 8;
    case PS_TYPE_UTF8_VIEW:
    case PS_TYPE_BINARY_VIEW: return rows * 16;
    default: return rows * (size_t)type->width;
    }
}

ps_status ps_writer_create(ps_mem *mem, const ps_type *type, int64_t capacity, ps_writer **out,
                           ps_error *err)
{
    PS_ASSERT(capacity >= 0);
    const ps_class kind = ps_type_class(type);
    if (type->index != 0 || (kind == PS_CLASS_NONE && type->id != PS_TYPE_NULL)) {
        char name[96];
        ps_type_describe(type, name, sizeof(name));
        return ps_fail(err, PS_TYPE, "columns of type %s cannot be computed, only passed on", name);
    }
    ps_writer *writer = ps_alloc_zeroed(mem, sizeof(*writer));
    if (writer == NULL) {
        return ps_mem_refused(mem, sizeof(*writer), "an output column", err);
    }
    writer->mem = mem;
    writer->type = *type;
    writer->kind = kind;
    writer->capacity = capacity;
    ps_mem_retain(mem);
    ps_status status = ps_buffers_create(mem, &writer->buffers, err);
    if (status == PS_OK && type->id != PS_TYPE_NULL) {
        status = ps_buffers_alloc(writer->buffers, VALUES, values_bytes(type, capacity),
                                  "an output column", err);
    }
    if (status != PS_OK) {
        ps_writer_destroy(writer);
        return status;
    }
    if (ps_type_is_var(type->id) && writer->buffers->blocks[VALUES].size_bytes > 0) {
        memset(writer->buffers->blocks[VALUES].data, 0,
               8); /* the first offset; blocks have 64 bytes */
    }
    *out = writer;
    return PS_OK;
}

void ps_writer_destroy(ps_writer *writer)
{
    if (writer != NULL) {
        ps_mem *mem = writer->mem;
        if (writer->buffers != NULL) {
            ps_owner_release(&writer->buffers->owner);
        }
        ps_free(mem, writer, sizeof(*writer));
        ps_mem_release(mem);
    }
}

int64_t ps_writer_text_bytes(const ps_writer *writer)
{
    return writer->bytes_used;
}

/* --- validity --------------------------------------------------------------------------------- */

static int64_t count_invalid(const uint8_t *valid, int64_t count)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < count;
         i += 128) { /* bytes are summed as bytes, so that it vectorises */
        const int64_t end = ps_min_i64(count, i + 128);
        uint8_t part = 0;
        for (int64_t k = i; k < end; k++) {
            part = (uint8_t)(part + valid[k]);
        }
        sum += part;
    }
    return count - sum;
}

/* valid NULL: none is null; all_null overrides it. */
static ps_status append_validity(ps_writer *writer, const uint8_t *valid, int64_t count,
                                 bool all_null, ps_error *err)
{
    uint8_t *bits = writer->buffers->blocks[VALIDITY].data;
    const int64_t nulls = all_null ? count : valid == NULL ? 0 : count_invalid(valid, count);
    if (nulls > 0 && bits == NULL) {
        PS_TRY(ps_buffers_alloc(writer->buffers, VALIDITY, (size_t)(writer->capacity + 7) / 8,
                                "a validity bitmap", err));
        bits = writer->buffers->blocks[VALIDITY].data;
        memset(bits, 0, (size_t)(writer->capacity + 7) / 8);
        ps_bitmap_fill(bits, 0, writer->length, true);
    }
    writer->null_count += nulls;
    if (bits == NULL) {
        return PS_OK;
    }
    if (nulls == 0 || all_null) {
        ps_bitmap_fill(bits, writer->length, count, !all_null);
    } else {
        ps_bitmap_from_bytes(valid, count, bits, writer->length);
    }
    return PS_OK;
}

/* --- numbers ---------------------------------------------------------------------------------- */

static ps_status does_not_fit(const ps_writer *writer, const ps_vector *vector, int64_t row,
                              ps_error *err)
{
    char name[96];
    ps_type_describe(&writer->type, name, sizeof(name));
    if (writer->kind == PS_CLASS_U64) {
        return ps_fail(err, PS_OVERFLOW, "the value %" PRIu64 " does not fit %s",
                       ((const uint64_t *)vector->values)[row], name);
    }
    return ps_fail(err, PS_OVERFLOW, "the value %" PRId64 " does not fit %s",
                   ((const int64_t *)vector->values)[row], name);
}

/* Narrows, then looks whether some valid value came out different. */
#define NARROW(from_type, to_type)                                                                 \
    do {                                                                                           \
        const from_type *restrict from = (const from_type *)vector->values;                        \
        to_type *restrict to = (to_type *)writer->buffers->blocks[VALUES].data + writer->length;   \
        from_type lost = 0;                                                                        \
        if (valid == NULL) {                                                                       \
            for (int64_t i = 0; i < count; i++) {                                                  \
                to[i] = (to_type)from[i];                                                          \
                lost |= from[i] ^ (from_type)to[i];                                                \
            }                                                                                      \
        } else {                                                                                   \
            for (int64_t i = 0; i < count; i++) {                                                  \
                const from_type value = valid[i] != 0 ? from[i] : 0;                               \
                to[i] = (to_type)value;                                                            \
                lost |= value ^ (from_type)to[i];                                                  \
            }                                                                                      \
        }                                                                                          \
        if (PS_LIKELY(lost == 0)) {                                                                \
            return PS_OK;                                                                          \
        }                                                                                          \
        int64_t row = 0;                                                                           \
        while ((valid != NULL && valid[row] == 0) || from[row] == (from_type)(to_type)from[row]) { \
            row++;                                                                                 \
        }                                                                                          \
        return does_not_fit(writer, vector, row, err);                                             \
    } while (0)

static ps_status append_float32(ps_writer *writer, const ps_vector *vector, const uint8_t *valid,
                                int64_t count)
{
    const double *restrict from = vector->values;
    float *restrict to = (float *)writer->buffers->blocks[VALUES].data + writer->length;
    for (int64_t i = 0; i < count; i++) {
        to[i] = valid == NULL || valid[i] != 0 ? (float)from[i] : 0.0f;
    }
    return PS_OK;
}

static ps_status append_number(ps_writer *writer, const ps_vector *vector, const uint8_t *valid,
                               int64_t count, ps_error *err)
{
    switch (writer->type.id) {
    case PS_TYPE_INT8: NARROW(int64_t, int8_t);
    case PS_TYPE_INT16: NARROW(int64_t, int16_t);
    case PS_TYPE_INT32:
    case PS_TYPE_DATE32:
    case PS_TYPE_TIME32: NARROW(int64_t, int32_t);
    case PS_TYPE_UINT8: NARROW(uint64_t, uint8_t);
    case PS_TYPE_UINT16: NARROW(uint64_t, uint16_t);
    case PS_TYPE_UINT32: NARROW(uint64_t, uint32_t);
    case PS_TYPE_FLOAT32: return append_float32(writer, vector, valid, count);
    default: break;
    }
    const uint64_t *restrict from = vector->values;
    uint64_t *restrict to = (uint64_t *)writer->buffers->blocks[VALUES].data + writer->length;
    if (valid == NULL) {
        memcpy(to, from, (size_t)count * 8);
        return PS_OK;
    }
    for (int64_t i = 0; i < count; i++) {
        to[i] = from[i] & (0 - (uint64_t)valid[i]);
    }
    return PS_OK;
}

static ps_status append_bool(ps_writer *writer, const ps_vector *vector, const uint8_t *valid,
                             int64_t count)
{
    const uint8_t *values = vector->values;
    uint8_t masked[PS_CHUNK_ROWS];
    uint8_t *bits = writer->buffers->blocks[VALUES].data;
    for (int64_t done = 0; done < count; done += PS_CHUNK_ROWS) {
        const int64_t n = ps_min_i64(count - done, PS_CHUNK_ROWS);
        const uint8_t *chunk = values + done;
        if (valid != NULL) {
            for (int64_t i = 0; i < n; i++) {
                masked[i] = chunk[i] & valid[done + i];
            }
            chunk = masked;
        }
        ps_bitmap_from_bytes(chunk, n, bits, writer->length + done);
    }
    return PS_OK;
}

/* --- strings ---------------------------------------------------------------------------------- */

static int64_t size_if_valid(const ps_string *strings, const uint8_t *valid, int64_t row)
{
    return valid == NULL || valid[row] != 0 ? strings[row].size_bytes : 0;
}

/* Room for more bytes behind those used. */
static ps_status reserve_bytes(ps_writer *writer, int64_t more, ps_error *err)
{
    const bool is_large =
        writer->type.id == PS_TYPE_LARGE_UTF8 || writer->type.id == PS_TYPE_LARGE_BINARY;
    const int64_t total = writer->bytes_used + more;
    if (!is_large && total > INT32_MAX) {
        return ps_fail(err, PS_OVERFLOW,
                       "an output column has %" PRId64
                       " bytes of strings, at most 2147483647 fit 32-bit offsets",
                       total);
    }
    return ps_buffers_grow(writer->buffers, BYTES, (size_t)ps_max_i64(total, 64),
                           "the strings of an output column", err);
}

#define APPEND_OFFSETS(type)                                                                       \
    do {                                                                                           \
        type *offsets = (type *)writer->buffers->blocks[VALUES].data + writer->length;             \
        for (int64_t i = 0; i < count; i++) {                                                      \
            const int64_t size = size_if_valid(strings, valid, i);                                 \
            ps_copy_short(bytes + at, strings[i].data, (size_t)size);                              \
            at += size;                                                                            \
            offsets[i + 1] = (type)at;                                                             \
        }                                                                                          \
    } while (0)

static ps_status append_var(ps_writer *writer, const ps_string *strings, const uint8_t *valid,
                            int64_t count, ps_error *err)
{
    int64_t more = 0;
    for (int64_t i = 0; i < count; i++) {
        more += size_if_valid(strings, valid, i);
    }
    PS_TRY(reserve_bytes(writer, more, err));
    uint8_t *bytes = writer->buffers->blocks[BYTES].data;
    int64_t at = writer->bytes_used;
    if (writer->type.id == PS_TYPE_UTF8 || writer->type.id == PS_TYPE_BINARY) {
        APPEND_OFFSETS(int32_t);
    } else {
        APPEND_OFFSETS(int64_t);
    }
    writer->bytes_used = at;
    return PS_OK;
}

static ps_status append_views(ps_writer *writer, const ps_string *strings, const uint8_t *valid,
                              int64_t count, ps_error *err)
{
    int64_t more = 0;
    for (int64_t i = 0; i < count; i++) {
        const int64_t size = size_if_valid(strings, valid, i);
        more += size > 12 ? size : 0;
    }
    PS_TRY(reserve_bytes(writer, more, err));
    uint8_t *bytes = writer->buffers->blocks[BYTES].data;
    uint8_t *view = (uint8_t *)writer->buffers->blocks[VALUES].data + writer->length * 16;
    memset(view, 0, (size_t)count * 16);
    for (int64_t i = 0; i < count; i++, view += 16) {
        const int32_t size = (int32_t)size_if_valid(strings, valid, i);
        memcpy(view, &size, 4);
        if ((uint32_t)size <= 12) {
            ps_copy_short(view + 4, strings[i].data, (size_t)size);
        } else {
            const int32_t offset = (int32_t)writer->bytes_used;
            memcpy(view + 4, strings[i].data, 4);
            memcpy(view + 12, &offset, 4);
            ps_copy_short(bytes + offset, strings[i].data, (size_t)size);
            writer->bytes_used += size;
        }
    }
    return PS_OK;
}

static ps_status append_fixed(ps_writer *writer, const ps_string *strings, const uint8_t *valid,
                              int64_t count, ps_error *err)
{
    const size_t width = (size_t)writer->type.width;
    uint8_t *to = (uint8_t *)writer->buffers->blocks[VALUES].data + (size_t)writer->length * width;
    for (int64_t i = 0; i < count; i++, to += width) {
        if (valid != NULL && valid[i] == 0) {
            memset(to, 0, width);
        } else if (PS_UNLIKELY((size_t)strings[i].size_bytes != width)) {
            return ps_fail(err, PS_INVALID,
                           "a value of %" PRId64 " bytes for a column of %zu bytes each",
                           strings[i].size_bytes, width);
        } else {
            memcpy(to, strings[i].data, width);
        }
    }
    return PS_OK;
}

/* --- all classes ------------------------------------------------------------------------------ */

/* Zero values and repeated offsets. */
static void append_nulls(ps_writer *writer, int64_t count)
{
    uint8_t *values = writer->buffers->blocks[VALUES].data;
    switch (writer->type.id) {
    case PS_TYPE_NULL: return;
    case PS_TYPE_BOOL: ps_bitmap_fill(values, writer->length, count, false); return;
    case PS_TYPE_UTF8:
    case PS_TYPE_BINARY:
        for (int64_t i = 0; i < count; i++) {
            ((int32_t *)(void *)values)[writer->length + i + 1] = (int32_t)writer->bytes_used;
        }
        return;
    case PS_TYPE_LARGE_UTF8:
    case PS_TYPE_LARGE_BINARY:
        for (int64_t i = 0; i < count; i++) {
            ((int64_t *)(void *)values)[writer->length + i + 1] = writer->bytes_used;
        }
        return;
    default: {
        const size_t width = values_bytes(&writer->type, 1);
        memset(values + (size_t)writer->length * width, 0, (size_t)count * width);
    }
    }
}

static ps_status append_values(ps_writer *writer, const ps_vector *vector, const uint8_t *valid,
                               int64_t count, ps_error *err)
{
    switch (writer->kind) {
    case PS_CLASS_BOOL: return append_bool(writer, vector, valid, count);
    case PS_CLASS_I64:
    case PS_CLASS_U64:
    case PS_CLASS_F64: return append_number(writer, vector, valid, count, err);
    case PS_CLASS_STR: break;
    case PS_CLASS_NONE: return PS_OK;
    }
    switch (writer->type.id) {
    case PS_TYPE_UTF8_VIEW:
    case PS_TYPE_BINARY_VIEW: return append_views(writer, vector->values, valid, count, err);
    case PS_TYPE_FIXED_BINARY:
    case PS_TYPE_DECIMAL128: return append_fixed(writer, vector->values, valid, count, err);
    default: return append_var(writer, vector->values, valid, count, err);
    }
}

ps_status ps_writer_append(ps_writer *writer, const ps_vector *vector, int64_t count, ps_error *err)
{
    PS_ASSERT(count >= 0);
    if (count > writer->capacity - writer->length) {
        return ps_fail(err, PS_INTERNAL, "an output column of %" PRId64 " rows is given %" PRId64,
                       writer->capacity, writer->length + count);
    }
    if (vector->kind != writer->kind && vector->kind != PS_CLASS_NONE) {
        return ps_fail(err, PS_INTERNAL, "an output column of class %d is given class %d",
                       (int)writer->kind, (int)vector->kind);
    }
    if (vector->kind == PS_CLASS_NONE) {
        if (writer->type.id != PS_TYPE_NULL) {
            PS_TRY(append_validity(writer, NULL, count, true, err));
        }
        append_nulls(writer, count);
    } else {
        PS_TRY(append_values(writer, vector, vector->valid, count, err));
        PS_TRY(append_validity(writer, vector->valid, count, false, err));
    }
    writer->length += count;
    return PS_OK;
}

ps_status ps_writer_finish(ps_writer *taken, ps_column *out, ps_error *err)
{
    (void)err;
    ps_buffers *buffers = taken->buffers;
    const uint8_t id = taken->type.id;
    *out = (ps_column){
        .type = taken->type,
        .length = taken->length,
        .null_count = id == PS_TYPE_NULL ? taken->length : taken->null_count,
        .validity = buffers->blocks[VALIDITY].data,
        .values = buffers->blocks[VALUES].data,
        .owner = &buffers->owner,
    };
    if (id == PS_TYPE_UTF8_VIEW || id == PS_TYPE_BINARY_VIEW) {
        const bool has_data = taken->bytes_used > 0;
        buffers->view_size = taken->bytes_used;
        buffers->view_buffers[0] = buffers->blocks[BYTES].data;
        buffers->view_buffers[1] = &buffers->view_size;
        out->view_buffers = buffers->view_buffers + (has_data ? 0 : 1);
        out->view_buffer_count = has_data ? 1 : 0;
    } else if (ps_type_is_var(id)) {
        out->offsets = out->values;
        out->values = buffers->blocks[BYTES].data == NULL ? "" : buffers->blocks[BYTES].data;
    }
    taken->buffers = NULL;
    ps_writer_destroy(taken);
    return PS_OK;
}
