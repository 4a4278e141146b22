/* import.c -- ps_batch_import: a struct array becomes a batch whose columns keep it alive.
 *
 * Two blocks a batch: the batch and the owner of the array, with the views of its dictionaries
 * behind it. Nothing is allocated or parsed per column.
 */
#include "arrow/array.h"
#include "arrow/batch.h"
#include "base/bitmap.h"

#include <inttypes.h>
#include <stdatomic.h>

typedef struct imported {
    ps_owner owner;
    ps_mem *mem;       /* retained */
    ps_schema *schema; /* retained: the ArrowSchema of opaque columns */
    size_t size_bytes;
    ArrowArray array;
    ps_column dictionaries[];
} imported;

static void imported_destroy(ps_owner *owner)
{
    imported *own = (imported *)owner;
    ps_mem *mem = own->mem;
    if (own->array.release != NULL) {
        own->array.release(&own->array);
    }
    ps_schema_release(own->schema);
    ps_free(mem, own, own->size_bytes);
    ps_mem_release(mem);
}

static ps_status check_top(const ps_schema *schema, const ArrowArray *array, ps_error *err)
{
    if (array->release == NULL) {
        return ps_fail(err, PS_INVALID, "the Arrow array has already been released");
    }
    if (array->n_children != schema->field_count) {
        return ps_fail(err, PS_CORRUPT,
                       "the batch has %" PRId64 " columns, its schema has %" PRId32,
                       array->n_children, schema->field_count);
    }
    const int64_t most = (int64_t)1 << 40;
    if (array->length < 0 || array->offset < 0 || array->length > most || array->offset > most) {
        return ps_fail(err, PS_CORRUPT,
                       "the batch has length %" PRId64 " and offset %" PRId64
                       ", which is impossible",
                       array->length, array->offset);
    }
    if (array->n_children > 0 && array->children == NULL) {
        return ps_fail(err, PS_CORRUPT, "the batch has no pointer to its columns");
    }
    for (int64_t i = 0; i < array->n_children; i++) {
        if (array->children[i] == NULL) {
            return ps_fail(err, PS_CORRUPT, "column '%.100s': the array is missing",
                           schema->fields[i].name);
        }
    }
    const uint8_t *validity =
        array->n_buffers > 0 && array->buffers != NULL ? array->buffers[0] : NULL;
    if (array->null_count > 0 || (array->null_count < 0 && validity != NULL &&
                                  !ps_bitmap_all(validity, array->offset, array->length))) {
        return ps_fail(err, PS_CORRUPT,
                       "rows of the batch are null as a whole; nulls belong into its columns");
    }
    return PS_OK;
}

static ps_status check_columns(const ps_schema *schema, const ArrowArray *array, const bool *wanted,
                               int32_t *dictionary_count, int32_t *wanted_count, ps_error *err)
{
    for (int32_t i = 0; i < schema->field_count; i++) {
        if (wanted != NULL && !wanted[i]) {
            continue;
        }
        const ps_field *field = &schema->fields[i];
        PS_TRY(ps_array_check(&field->type, &field->arrow, array->children[i], array->offset,
                              array->length, field->name, err));
        *dictionary_count += field->type.index != 0;
        *wanted_count += 1;
    }
    return PS_OK;
}

ps_status ps_batch_import(ps_mem *mem, ps_schema *schema, ArrowArray *array, const bool *wanted,
                          ps_batch **out, ps_error *err)
{
    int32_t dictionary_count = 0, wanted_count = 0;
    PS_TRY(check_top(schema, array, err));
    PS_TRY(check_columns(schema, array, wanted, &dictionary_count, &wanted_count, err));
    const size_t size = sizeof(imported) + (size_t)dictionary_count * sizeof(ps_column);
    imported *own = ps_alloc(mem, size);
    if (own == NULL) {
        return ps_mem_refused(mem, size, "the owner of a batch", err);
    }
    ps_batch *batch;
    const ps_status status = ps_batch_create(mem, schema, array->length, &batch, err);
    if (status != PS_OK) {
        ps_free(mem, own, size);
        return status;
    }
    ps_owner_init(&own->owner, imported_destroy);
    own->mem = mem;
    own->schema = schema;
    own->size_bytes = size;
    own->array = *array;
    array->release = NULL;
    ps_mem_retain(mem);
    ps_schema_retain(schema);
    dictionary_count = 0;
    for (int32_t i = 0; i < schema->field_count; i++) {
        if (wanted != NULL && !wanted[i]) {
            continue;
        }
        const ps_field *field = &schema->fields[i];
        const ArrowArray *child = own->array.children[i];
        ps_column *column = &batch->columns[i];
        ps_array_view(&field->type, &field->arrow, child, own->array.offset, batch->length, column);
        column->owner = &own->owner;
        column->arrow_owner = &schema->owner;
        if (field->type.index != 0) {
            ps_column *dictionary = &own->dictionaries[dictionary_count++];
            ps_type plain = field->type;
            plain.index = 0;
            ps_array_view(&plain, field->arrow.dictionary, child->dictionary, 0,
                          child->dictionary->length, dictionary);
            dictionary->owner = &own->owner;
            column->dictionary = dictionary;
        }
    }
    /* One reference a column; nobody else knows the owner yet. */
    atomic_store_explicit(&own->owner.references, wanted_count, memory_order_relaxed);
    if (wanted_count == 0) {
        imported_destroy(&own->owner);
    }
    *out = batch;
    return PS_OK;
}
