/* partition.c -- see partition.h. */
#include "operators/partition.h"

#include <string.h>

#include "operators/op.h"
#include "state/key_hash.h"

/* Everything of one call, in one block behind it. */
typedef struct work {
    ps_mem *mem;
    size_t bytes;
    int32_t key_count;
    ps_vector *vectors; /* of one chunk, with their scratch */
    ps_vector_scratch *scratch;
    int64_t *counts;      /* rows a partition */
    ps_selection **picks; /* a partition's rows, or NULL */
    uint16_t *targets;    /* of each row */
    uint64_t hashes[PS_CHUNK_ROWS];
} work;

static ps_status check_keys(const ps_batch *batch, const int32_t *keys, int32_t key_count,
                            ps_error *err)
{
    for (int32_t k = 0; k < key_count; k++) {
        PS_CHECK(keys[k] >= 0 && keys[k] < batch->column_count);
        const ps_type *const type = &batch->columns[keys[k]].type;
        if (ps_type_class(type) == PS_CLASS_NONE && type->id != PS_TYPE_NULL) {
            return ps_fail(err, PS_TYPE, "column %d cannot be a key: nested types have no hash",
                           (int)keys[k]);
        }
    }
    return PS_OK;
}

static size_t take_room(uint8_t **room, size_t bytes, void *out)
{
    memcpy(out, room, sizeof *room);
    *room += ps_align_up(bytes, 64);
    return ps_align_up(bytes, 64);
}

static work *work_create(ps_mem *mem, int64_t rows, int32_t key_count, int32_t partition_count)
{
    const size_t keys = (size_t)key_count, partitions = (size_t)partition_count;
    const size_t sizes[5] = {keys * sizeof(ps_vector_scratch), keys * sizeof(ps_vector),
                             partitions * sizeof(int64_t), partitions * sizeof(ps_selection *),
                             (size_t)rows * sizeof(uint16_t)};
    size_t bytes = ps_align_up(sizeof(work), 64);
    for (int i = 0; i < 5; i++) {
        bytes += ps_align_up(sizes[i], 64);
    }
    work *const w = ps_alloc_zeroed(mem, bytes);
    if (w == NULL) {
        return NULL;
    }
    uint8_t *room = (uint8_t *)w + ps_align_up(sizeof(work), 64);
    take_room(&room, sizes[0], &w->scratch);
    take_room(&room, sizes[1], &w->vectors);
    take_room(&room, sizes[2], &w->counts);
    take_room(&room, sizes[3], &w->picks);
    take_room(&room, sizes[4], &w->targets);
    w->mem = mem;
    w->bytes = bytes;
    w->key_count = key_count;
    return w;
}

/* Finds the partition of each row and counts them. */
static void route(work *w, const ps_batch *batch, const int32_t *keys, int32_t partition_count)
{
    for (int64_t start = 0; start < batch->length; start += PS_CHUNK_ROWS) {
        const int64_t count = ps_min_i64(batch->length - start, PS_CHUNK_ROWS);
        for (int32_t k = 0; k < w->key_count; k++) {
            ps_vector_load(&batch->columns[keys[k]], NULL, start, count, &w->scratch[k],
                           &w->vectors[k]);
        }
        ps_key_hash(w->vectors, w->key_count, count, w->hashes);
        for (int64_t i = 0; i < count; i++) {
            const int32_t target = ps_shard_of_group(ps_key_group(w->hashes[i]), partition_count);
            w->targets[start + i] = (uint16_t)target;
            w->counts[target]++;
        }
    }
}

static ps_status pick(work *w, int64_t rows, int32_t partition_count, ps_error *err)
{
    for (int32_t p = 0; p < partition_count; p++) {
        if (w->counts[p] > 0) {
            PS_TRY(ps_selection_create(w->mem, w->counts[p], &w->picks[p], err));
        }
    }
    for (int64_t i = 0; i < rows; i++) {
        ps_selection *const to = w->picks[w->targets[i]];
        to->rows[to->count++] = (uint32_t)i;
    }
    return PS_OK;
}

static ps_status take_parts(work *w, ps_batch *batch, int32_t partition_count, ps_batch **parts,
                            ps_error *err)
{
    PS_TRY(pick(w, batch->length, partition_count, err));
    for (int32_t p = 0; p < partition_count; p++) {
        if (w->picks[p] != NULL) {
            PS_TRY(ps_batch_take(batch, w->picks[p], &parts[p], err));
        }
    }
    return PS_OK;
}

ps_status ps_batch_partition(ps_batch *batch, const int32_t *keys, int32_t key_count,
                             int32_t partition_count, ps_batch **parts, ps_error *err)
{
    PS_CHECK(key_count >= 1 && partition_count >= 1 && partition_count <= PS_KEY_GROUPS);
    memset(parts, 0, (size_t)partition_count * sizeof(*parts));
    PS_TRY(check_keys(batch, keys, key_count, err));
    work *const w = work_create(batch->mem, batch->length, key_count, partition_count);
    if (w == NULL) {
        return ps_mem_refused(batch->mem, (size_t)batch->length * 2, "partitions of a batch", err);
    }
    route(w, batch, keys, partition_count);
    ps_status status = PS_OK;
    int32_t whole = -1; /* the partition that all rows go to */
    for (int32_t p = 0; p < partition_count; p++) {
        whole = batch->length > 0 && w->counts[p] == batch->length ? p : whole;
    }
    if (whole >= 0) {
        ps_batch_retain(batch);
        parts[whole] = batch;
    } else {
        status = take_parts(w, batch, partition_count, parts, err);
    }
    for (int32_t p = 0; p < partition_count; p++) {
        ps_selection_release(w->picks[p]);
        if (status != PS_OK) {
            ps_batch_release(parts[p]);
            parts[p] = NULL;
        }
    }
    ps_free(w->mem, w, w->bytes);
    return status;
}
