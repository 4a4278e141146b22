/* export.c -- columns and batches as ArrowArrays over the same buffers.
 *
 * One block an exported batch: every struct of the tree lives in it. Each node holds a reference to
 * the block and the block one to the batch, so a consumer may move children out and release what it
 * has in any order, from any thread.
 */
#include "arrow/array.h"
#include "arrow/batch.h"
#include "base/bitmap.h"

#include <stdatomic.h>

/* --- one column ------------------------------------------------------------------------------- */

static const char no_bytes[1] = "";
static const int64_t no_offsets[2] = {0, 0};

static void *arena_take(ps_array_room *arena, size_t bytes)
{
    void *taken = arena->next;
    arena->next += ps_align_up(bytes, 8);
    PS_ASSERT(arena->next <= arena->end);
    return taken;
}

/* The row of the exported buffers at which the column begins. */
static int64_t export_offset(const ps_column *column)
{
    if (column->length == 0) {
        return 0;
    }
    return column->array_offset + (column->array == NULL ? 0 : column->array->offset);
}

static size_t bitmap_bytes(const ps_column *column, const void *bits, int64_t bit)
{
    const int64_t offset = export_offset(column);
    if (bits == NULL || bit == offset || column->length == 0) {
        return 0;
    }
    return ps_align_up((size_t)((offset + column->length + 7) / 8), 8);
}

static size_t array_copy_bytes(const ArrowArray *from)
{
    size_t bytes = (size_t)from->n_children * (sizeof(ArrowArray) + sizeof(ArrowArray *));
    for (int64_t i = 0; i < from->n_children; i++) {
        bytes += array_copy_bytes(from->children[i]);
    }
    if (from->dictionary != NULL) {
        bytes += sizeof(ArrowArray) + array_copy_bytes(from->dictionary);
    }
    return bytes;
}

size_t ps_array_bytes(const ps_column *column)
{
    if (column->type.id == PS_TYPE_OPAQUE) {
        return array_copy_bytes(column->array);
    }
    size_t bytes = (size_t)(3 + column->view_buffer_count) * sizeof(void *);
    bytes += bitmap_bytes(column, column->validity, column->validity_bit);
    if (column->type.index != 0) {
        bytes += sizeof(ArrowArray) + ps_array_bytes(column->dictionary);
    } else if (column->type.id == PS_TYPE_BOOL) {
        bytes += bitmap_bytes(column, column->values, column->values_bit);
    }
    return bytes;
}

/* Mirrors a tree of structs; the buffers and their pointers stay where they are. */
static void array_copy(const ArrowArray *from, ps_array_room *arena, void (*release)(ArrowArray *),
                       void *private_data, ArrowArray *out)
{
    *out = *from;
    out->release = release;
    out->private_data = private_data;
    if (from->n_children > 0) {
        const size_t count = (size_t)from->n_children;
        ArrowArray *children = arena_take(arena, count * sizeof(ArrowArray));
        out->children = arena_take(arena, count * sizeof(ArrowArray *));
        for (size_t i = 0; i < count; i++) {
            out->children[i] = &children[i];
            array_copy(from->children[i], arena, release, private_data, &children[i]);
        }
    }
    if (from->dictionary != NULL) {
        out->dictionary = arena_take(arena, sizeof(ArrowArray));
        array_copy(from->dictionary, arena, release, private_data, out->dictionary);
    }
}

/* The bitmap whose bit `offset` is the column's first row. */
static const void *bitmap_at_offset(const ps_column *column, const void *bits, int64_t bit,
                                    int64_t offset, ps_array_room *arena)
{
    const size_t bytes = bitmap_bytes(column, bits, bit);
    if (bytes == 0) {
        return bits;
    }
    uint8_t *copy = arena_take(arena, bytes);
    ps_bitmap_fill(copy, 0, offset, false);
    ps_bitmap_copy(bits, bit, column->length, copy, offset);
    return copy;
}

static const void *step_back(const void *pointer, int64_t bytes)
{
    return pointer == NULL ? NULL : (const uint8_t *)pointer - bytes;
}

/* Buffers 1 and on of a plain column; their number. */
static int64_t fill_values(const ps_column *column, int64_t offset, ps_array_room *arena,
                           const void **buffers)
{
    const uint8_t id = column->type.index != 0 ? column->type.index : column->type.id;
    switch (id) {
    case PS_TYPE_BOOL:
        buffers[1] = bitmap_at_offset(column, column->values, column->values_bit, offset, arena);
        return 2;
    case PS_TYPE_UTF8:
    case PS_TYPE_BINARY:
    case PS_TYPE_LARGE_UTF8:
    case PS_TYPE_LARGE_BINARY: {
        const int64_t width = id == PS_TYPE_UTF8 || id == PS_TYPE_BINARY ? 4 : 8;
        buffers[1] =
            column->offsets == NULL ? no_offsets : step_back(column->offsets, offset * width);
        buffers[2] = column->values == NULL ? no_bytes : column->values;
        return 3;
    }
    case PS_TYPE_UTF8_VIEW:
    case PS_TYPE_BINARY_VIEW:
        buffers[1] = step_back(column->values, offset * 16);
        for (int64_t i = 0; i <= column->view_buffer_count; i++) {
            buffers[2 + i] = column->view_buffers[i];
        }
        return 3 + column->view_buffer_count;
    default:
        buffers[1] = step_back(column->values, offset * (int64_t)ps_column_width(column));
        return 2;
    }
}

void ps_array_fill(const ps_column *column, ps_array_room *arena, void (*release)(ArrowArray *),
                   void *private_data, ArrowArray *out)
{
    if (column->type.id == PS_TYPE_OPAQUE) {
        array_copy(column->array, arena, release, private_data, out);
        out->length = column->length;
        out->offset = column->array->offset + column->array_offset;
        out->null_count = column->null_count;
        return;
    }
    const int64_t offset = export_offset(column);
    *out = (ArrowArray){
        .length = column->length,
        .null_count = column->validity == NULL ? 0 : column->null_count,
        .offset = offset,
        .release = release,
        .private_data = private_data,
    };
    if (column->type.id == PS_TYPE_NULL) {
        out->null_count = column->length;
        return;
    }
    const void **buffers =
        arena_take(arena, (size_t)(3 + column->view_buffer_count) * sizeof(void *));
    buffers[0] = bitmap_at_offset(column, column->validity, column->validity_bit, offset, arena);
    out->buffers = buffers;
    out->n_buffers = fill_values(column, offset, arena, buffers);
    if (column->type.index != 0) {
        out->dictionary = arena_take(arena, sizeof(ArrowArray));
        ps_array_fill(column->dictionary, arena, release, private_data, out->dictionary);
    }
}

/* --- a batch ---------------------------------------------------------------------------------- */

typedef struct exported {
    ps_owner owner; /* one reference a node */
    ps_batch *batch;
    size_t size_bytes;
    const void *no_validity[1];
} exported;

static void exported_destroy(ps_owner *owner)
{
    exported *own = (exported *)owner;
    ps_batch *batch = own->batch;
    ps_free(batch->mem, own, own->size_bytes);
    ps_batch_release(batch);
}

static void exported_release(ArrowArray *array)
{
    exported *own = array->private_data;
    for (int64_t i = 0; i < array->n_children; i++) {
        if (array->children[i]->release != NULL) {
            array->children[i]->release(array->children[i]);
        }
    }
    if (array->dictionary != NULL && array->dictionary->release != NULL) {
        array->dictionary->release(array->dictionary);
    }
    array->release = NULL;
    ps_owner_release(&own->owner);
}

static int64_t node_count(const ArrowArray *array)
{
    int64_t count = 1;
    for (int64_t i = 0; i < array->n_children; i++) {
        count += node_count(array->children[i]);
    }
    return array->dictionary == NULL ? count : count + node_count(array->dictionary);
}

ps_status ps_batch_export(ps_batch *batch, ArrowArray *out, ps_error *err)
{
    const size_t columns = (size_t)batch->column_count;
    size_t size =
        ps_align_up(sizeof(exported), 8) + columns * (sizeof(ArrowArray) + sizeof(ArrowArray *));
    for (size_t i = 0; i < columns; i++) {
        if (batch->columns[i].owner == NULL) {
            return ps_fail(err, PS_INVALID, "column '%.100s' was left out when the batch came in",
                           batch->schema->fields[i].name);
        }
        size += ps_array_bytes(&batch->columns[i]);
    }
    exported *own = ps_alloc(batch->mem, size);
    if (own == NULL) {
        return ps_mem_refused(batch->mem, size, "an exported batch", err);
    }
    ps_owner_init(&own->owner, exported_destroy);
    own->batch = batch;
    own->size_bytes = size;
    own->no_validity[0] = NULL;
    ps_array_room arena = {(uint8_t *)own + ps_align_up(sizeof(exported), 8),
                           (uint8_t *)own + size};
    ArrowArray *children = arena_take(&arena, columns * sizeof(ArrowArray));
    ArrowArray **pointers = arena_take(&arena, columns * sizeof(ArrowArray *));
    for (size_t i = 0; i < columns; i++) {
        pointers[i] = &children[i];
        ps_array_fill(&batch->columns[i], &arena, exported_release, own, &children[i]);
    }
    *out = (ArrowArray){
        .length = batch->length,
        .n_buffers = 1,
        .n_children = batch->column_count,
        .buffers = own->no_validity,
        .children = pointers,
        .release = exported_release,
        .private_data = own,
    };
    atomic_store_explicit(&own->owner.references, node_count(out), memory_order_relaxed);
    ps_batch_retain(batch);
    return PS_OK;
}
