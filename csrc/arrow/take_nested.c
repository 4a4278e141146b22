/* take_nested.c -- gathering rows of types that have no class of their own here.
 *
 * Lists, maps, structs and fixed-size lists: own offsets and validity, children gathered in turn.
 * Dictionaries of nested values: own indices, the dictionary shared. decimal256 and intervals: as
 * fixed bytes. Unions, run-ends and list views: PS_UNSUPPORTED.
 * The answer is an ArrowArray tree inside its owner: it leaves the engine as imported ones do.
 */
#include "arrow/array.h"
#include "arrow/take.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct nested {
    ps_owner owner;
    ps_mem *mem; /* retained */
    size_t size_bytes;
    ps_owner *leans_on[2]; /* retained: the column's owner, its schema's owner */
    ps_column own;         /* validity with offsets or fixed values */
    uint8_t *arena;
    size_t arena_bytes;
    const void *buffers[2];
    ArrowArray array;
    int64_t child_count;
    ps_column children[];
} nested;

static void nested_destroy(ps_owner *owner)
{
    nested *self = (nested *)owner;
    ps_mem *mem = self->mem;
    for (int64_t i = 0; i < self->child_count; i++) {
        ps_owner_release(self->children[i].owner);
    }
    ps_owner_release(self->own.owner);
    ps_owner_release(self->leans_on[0]);
    ps_owner_release(self->leans_on[1]);
    ps_free(mem, self->arena, self->arena_bytes);
    ps_free(mem, self, self->size_bytes);
    ps_mem_release(mem);
}

static ps_status nested_create(ps_mem *mem, const ps_column *column, int64_t child_count,
                               nested **out, ps_error *err)
{
    const size_t size = sizeof(nested) + (size_t)child_count * sizeof(ps_column);
    nested *self = ps_alloc_zeroed(mem, size);
    if (self == NULL) {
        return ps_mem_refused(mem, size, "a nested column", err);
    }
    ps_owner_init(&self->owner, nested_destroy);
    self->mem = mem;
    self->size_bytes = size;
    self->leans_on[0] = column->owner;
    self->leans_on[1] = column->arrow_owner;
    self->child_count = child_count;
    ps_mem_retain(mem);
    for (int32_t i = 0; i < 2; i++) {
        if (self->leans_on[i] != NULL) {
            ps_owner_retain(self->leans_on[i]);
        }
    }
    *out = self;
    return PS_OK;
}

/* Rows of a child, gathered into self->children[index]. */
static ps_status take_child(nested *self, const ps_column *column, int64_t index,
                            const uint32_t *rows, int64_t count, ps_error *err)
{
    const ArrowSchema *arrow = column->arrow->children[index];
    const ArrowArray *array = column->array->children[index];
    ps_type type;
    PS_TRY(ps_type_parse(arrow, &type, err));
    if (type.index != 0) {
        type = (ps_type){.id = PS_TYPE_OPAQUE}; /* its dictionary is only known as an ArrowArray */
    }
    ps_column child;
    ps_array_view(&type, arrow, array, 0, array->length, &child);
    child.owner = column->owner;
    child.arrow_owner = column->arrow_owner;
    return ps_column_take(self->mem, &child, rows, count, &self->children[index], err);
}

/* Own validity, and room for offsets in block 1 if offset_bytes > 0. */
static ps_status take_own(nested *self, const ps_column *column, const uint32_t *rows,
                          int64_t count, size_t offset_bytes, void **offsets, ps_error *err)
{
    ps_buffers *buffers;
    PS_TRY(ps_buffers_create(self->mem, &buffers, err));
    self->own = (ps_column){.length = count, .owner = &buffers->owner};
    PS_TRY(ps_take_validity(column, rows, count, buffers, 0, &self->own, err));
    if (offset_bytes > 0) {
        PS_TRY(ps_buffers_alloc(buffers, 1, offset_bytes, "taken offsets", err));
        self->own.offsets = *offsets = buffers->blocks[1].data;
    }
    return PS_OK;
}

static int64_t offset_at(const void *offsets, bool large, int64_t index)
{
    return large ? ((const int64_t *)offsets)[index] : ((const int32_t *)offsets)[index];
}

static ps_status too_many(int64_t rows, ps_error *err)
{
    return ps_fail(err, PS_OVERFLOW, "taken lists have %" PRId64 " elements, which is too many",
                   rows);
}

static ps_status child_rows_alloc(nested *self, int64_t total, uint32_t **out, ps_error *err)
{
    *out = ps_alloc(self->mem, (size_t)total * sizeof(uint32_t));
    return *out != NULL ? PS_OK
                        : ps_mem_refused(self->mem, (size_t)total * sizeof(uint32_t),
                                         "the elements of taken lists", err);
}

static ps_status take_list(nested *self, const ps_column *column, const uint32_t *rows,
                           int64_t count, bool large, ps_error *err)
{
    void *offsets = NULL;
    PS_TRY(
        take_own(self, column, rows, count, (size_t)(count + 1) * (large ? 8 : 4), &offsets, err));
    const int64_t base = column->array->offset + column->array_offset;
    const void *from = column->array->buffers[1];
    int64_t total = 0;
    for (int64_t i = 0; i <= count; i++) {
        if (large) {
            ((int64_t *)offsets)[i] = total;
        } else {
            ((int32_t *)offsets)[i] = (int32_t)total;
        }
        if (i < count && ps_column_is_valid(column, rows[i])) {
            const int64_t row = base + rows[i];
            const int64_t start = offset_at(from, large, row),
                          end = offset_at(from, large, row + 1);
            total += end - start;
            if (end > UINT32_MAX || total > INT32_MAX) {
                return too_many(total, err);
            }
        }
    }
    uint32_t *child_rows;
    PS_TRY(child_rows_alloc(self, total, &child_rows, err));
    int64_t at = 0;
    for (int64_t i = 0; i < count; i++) {
        if (ps_column_is_valid(column, rows[i])) {
            const int64_t row = base + rows[i];
            const int64_t end = offset_at(from, large, row + 1);
            for (int64_t k = offset_at(from, large, row); k < end; k++) {
                child_rows[at++] = (uint32_t)k;
            }
        }
    }
    const ps_status status = take_child(self, column, 0, child_rows, total, err);
    ps_free(self->mem, child_rows, (size_t)total * sizeof(uint32_t));
    return status;
}

/* size > 0: `size` consecutive rows of every child a row. Structs have size 1. */
static ps_status take_struct(nested *self, const ps_column *column, const uint32_t *rows,
                             int64_t count, int64_t size, ps_error *err)
{
    PS_TRY(take_own(self, column, rows, count, 0, NULL, err));
    const int64_t base = column->array->offset + column->array_offset;
    if ((base + column->length) * size > UINT32_MAX || count * size > INT32_MAX) {
        return too_many(count * size, err);
    }
    uint32_t *child_rows;
    PS_TRY(child_rows_alloc(self, count * size, &child_rows, err));
    int64_t at = 0;
    for (int64_t i = 0; i < count; i++) {
        for (int64_t k = 0; k < size; k++) {
            child_rows[at++] = (uint32_t)((base + rows[i]) * size + k);
        }
    }
    ps_status status = PS_OK;
    for (int64_t i = 0; i < self->child_count && status == PS_OK; i++) {
        status = take_child(self, column, i, child_rows, count * size, err);
    }
    ps_free(self->mem, child_rows, (size_t)(count * size) * sizeof(uint32_t));
    return status;
}

/* Fixed values or dictionary indices: the same buffers as a plain type. */
static ps_status take_as(nested *self, const ps_column *column, ps_type type, const uint32_t *rows,
                         int64_t count, ps_error *err)
{
    ps_column plain;
    ps_array_view(&type, column->arrow, column->array, column->array_offset, column->length,
                  &plain);
    plain.owner = column->owner;
    return ps_column_take(self->mem, &plain, rows, count, &self->own, err);
}

/* Own buffers and gathered children put together as one ArrowArray. */
static ps_status nested_assemble(nested *self, const ps_column *column, ps_error *err)
{
    const size_t children = (size_t)self->child_count;
    size_t bytes = children * (sizeof(ArrowArray) + sizeof(ArrowArray *));
    for (size_t i = 0; i < children; i++) {
        bytes += ps_array_bytes(&self->children[i]);
    }
    self->arena = ps_alloc(self->mem, bytes);
    if (self->arena == NULL) {
        return ps_mem_refused(self->mem, bytes, "a nested column", err);
    }
    self->arena_bytes = bytes;
    ArrowArray *structs = (ArrowArray *)(void *)self->arena;
    ArrowArray **pointers = (ArrowArray **)(structs + children);
    ps_array_room arena = {(uint8_t *)(pointers + children), self->arena + bytes};
    for (size_t i = 0; i < children; i++) {
        pointers[i] = &structs[i];
        ps_array_fill(&self->children[i], &arena, NULL, NULL, &structs[i]);
    }
    self->buffers[0] = self->own.validity;
    self->buffers[1] = self->own.offsets != NULL ? self->own.offsets : self->own.values;
    self->array = (ArrowArray){
        .length = self->own.length,
        .null_count = self->own.null_count,
        .n_buffers = column->array->n_buffers,
        .n_children = self->child_count,
        .buffers = self->buffers,
        .children = children == 0 ? NULL : pointers,
        .dictionary = column->array->dictionary,
    };
    return PS_OK;
}

static ps_status nested_take(nested *self, const ps_column *column, const uint32_t *rows,
                             int64_t count, ps_error *err)
{
    const char *format = column->arrow->format;
    int64_t size;
    if (column->arrow->dictionary != NULL) {
        const ArrowSchema index = {.format = format};
        ps_type type;
        PS_TRY(ps_type_parse(&index, &type, err));
        PS_TRY(take_as(self, column, type, rows, count, err));
    } else if (strcmp(format, "+l") == 0 || strcmp(format, "+m") == 0) {
        PS_TRY(take_list(self, column, rows, count, false, err));
    } else if (strcmp(format, "+L") == 0) {
        PS_TRY(take_list(self, column, rows, count, true, err));
    } else if (strcmp(format, "+s") == 0) {
        PS_TRY(take_struct(self, column, rows, count, 1, err));
    } else if (sscanf(format, "+w:%9" SCNd64, &size) == 1) {
        PS_TRY(take_struct(self, column, rows, count, size, err));
    } else {
        const ps_type bytes = {.id = PS_TYPE_FIXED_BINARY, .width = ps_arrow_fixed_width(format)};
        PS_TRY(take_as(self, column, bytes, rows, count, err));
    }
    return nested_assemble(self, column, err);
}

static bool is_takeable(const ArrowSchema *arrow)
{
    static const char *const known[] = {"+l", "+L", "+m", "+s"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(arrow->format, known[i]) == 0) {
            return true;
        }
    }
    return arrow->dictionary != NULL || strncmp(arrow->format, "+w:", 3) == 0 ||
           ps_arrow_fixed_width(arrow->format) > 0;
}

ps_status ps_take_nested(ps_mem *mem, const ps_column *column, const uint32_t *rows, int64_t count,
                         ps_column *out, ps_error *err)
{
    const ArrowSchema *arrow = column->arrow;
    if (!is_takeable(arrow)) {
        return ps_fail(err, PS_UNSUPPORTED,
                       "column '%.100s' of Arrow format '%.60s' can be carried through as a whole, "
                       "but its rows cannot be picked one by one",
                       arrow->name == NULL ? "" : arrow->name, arrow->format);
    }
    nested *self = NULL;
    PS_TRY(
        nested_create(mem, column, arrow->dictionary != NULL ? 0 : arrow->n_children, &self, err));
    const ps_status status = nested_take(self, column, rows, count, err);
    if (status != PS_OK) {
        ps_owner_release(&self->owner);
        *out = (ps_column){0};
        return status;
    }
    *out = (ps_column){
        .type = column->type,
        .length = count,
        .null_count = self->own.null_count,
        .validity = self->own.validity,
        .array = &self->array,
        .arrow = arrow,
        .arrow_owner = column->arrow_owner,
        .owner = &self->owner,
    };
    return PS_OK;
}
