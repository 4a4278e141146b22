/* array.h -- between ArrowArray and ps_column: check one, view one, write one.
 *
 * Private to arrow/. A check covers what reading a column relies on: counts, lengths, presence of
 * buffers, offsets that never fall, views and dictionary indices in range. It cannot know how long
 * a buffer really is: that much the producer must be trusted with.
 */
#ifndef PS_ARROW_ARRAY_H
#define PS_ARROW_ARRAY_H

#include "arrow/column.h"

#include <string.h>

/* The bytes of one 16-byte view; empty when they would lie outside the data buffers. */
static inline ps_string ps_view_string(const ps_column *column, const uint8_t *view)
{
    int32_t parts[4]; /* size, prefix, buffer, offset */
    memcpy(parts, view, sizeof(parts));
    if (PS_LIKELY((uint32_t)parts[0] <= 12)) {
        return (ps_string){(const char *)view + 4, parts[0]};
    }
    const int64_t *sizes = (const int64_t *)column->view_buffers[column->view_buffer_count];
    if (PS_UNLIKELY(parts[0] < 0 || parts[2] < 0 || parts[2] >= column->view_buffer_count ||
                    parts[3] < 0 || (int64_t)parts[3] + parts[0] > sizes[parts[2]])) {
        return (ps_string){"", 0};
    }
    return (ps_string){(const char *)column->view_buffers[parts[2]] + parts[3], parts[0]};
}

/* Short copies without a call: two overlapping words. */
static inline void ps_copy_short(uint8_t *to, const void *data, size_t size)
{
    const uint8_t *from = data;
    if (size > 16) {
        memcpy(to, from, size);
    } else if (size >= 8) {
        uint64_t head, tail;
        memcpy(&head, from, 8);
        memcpy(&tail, from + size - 8, 8);
        memcpy(to, &head, 8);
        memcpy(to + size - 8, &tail, 8);
    } else if (size >= 4) {
        uint32_t head, tail;
        memcpy(&head, from, 4);
        memcpy(&tail, from + size - 4, 4);
        memcpy(to, &head, 4);
        memcpy(to + size - 4, &tail, 4);
    } else {
        for (size_t i = 0; i < size; i++) {
            to[i] = from[i];
        }
    }
}

/* Bytes of one value of a fixed-width column or of dictionary indices; 0: bool or not fixed. */
size_t ps_column_width(const ps_column *column);
/* A plain type of integers of that id, for indices read as values. */
ps_type ps_type_of_index(uint8_t index_id);

/* Bytes of a value of a format that has no type of its own (decimal256, intervals), or 0. */
int32_t ps_arrow_fixed_width(const char *format);

/* Checks that rows [start, start + length) past array->offset can be read as `type`. */
PS_MUST_CHECK ps_status ps_array_check(const ps_type *type, const ArrowSchema *arrow,
                                       const ArrowArray *array, int64_t start, int64_t length,
                                       const char *name, ps_error *err);
/* A view of those rows; owner, arrow_owner and dictionary stay NULL. */
void ps_array_view(const ps_type *type, const ArrowSchema *arrow, const ArrowArray *array,
                   int64_t start, int64_t length, ps_column *out);

/* Writing a column as an ArrowArray that borrows its buffers, for as long as its owner lives. The
 * structs come from an arena whose size the caller asks for first. Bitmaps that do not begin at the
 * column's row offset are copied into it. */
typedef struct ps_array_room {
    uint8_t *next;
    uint8_t *end;
} ps_array_room;
size_t ps_array_bytes(const ps_column *column);
/* Fills *out; release is set on it and everything below (each with private_data), or left NULL. */
void ps_array_fill(const ps_column *column, ps_array_room *arena, void (*release)(ArrowArray *),
                   void *private_data, ArrowArray *out);

#endif
