/* deal.c -- see deal.h. Works on chunks of rows: a mask of the target's rows, then every column. */
#include "operators/deal.h"

#include <string.h>

#include "arrow/array.h"
#include "arrow/vector.h"
#include "base/bitmap.h"
#include "simd/kernels.h"

enum { SLACK_BYTES = PS_SELECT_SLACK * sizeof(uint64_t) };

/* ---- which columns ---- */

static bool is_wanted(const ps_column *column, const bool *wanted, int32_t index)
{
    return column->owner != NULL && (wanted == NULL || wanted[index]);
}

/* log2 of the width of a column's values; -1: not of such a width. */
static int32_t width_log2(const ps_column *column)
{
    if (column->type.index != 0) {
        return -1;
    }
    switch (ps_type_class(&column->type)) {
    case PS_CLASS_I64:
    case PS_CLASS_U64:
    case PS_CLASS_F64: return __builtin_ctz((unsigned)ps_column_width(column));
    default: return -1;
    }
}

static bool is_bool(const ps_column *column)
{
    return column->type.index == 0 && column->type.id == PS_TYPE_BOOL;
}

bool ps_deal_fits(const ps_batch *batch, const bool *wanted)
{
    for (int32_t i = 0; i < batch->column_count; i++) {
        const ps_column *const column = &batch->columns[i];
        if (is_wanted(column, wanted, i) && width_log2(column) < 0 && !is_bool(column)) {
            return false;
        }
    }
    return true;
}

/* ---- rows of a target ---- */

/* The rows of one chunk that go to the target. */
typedef struct share {
    int64_t start; /* first row of the chunk */
    int64_t rows;  /* of the chunk */
    int64_t count; /* of the target among them */
    uint8_t mask[PS_CHUNK_ROWS];
    uint32_t numbers[PS_CHUNK_ROWS + PS_SELECT_SLACK]; /* physical rows */
} share;

static int64_t row_count(const ps_deal *deal)
{
    return deal->selection != NULL ? deal->selection->count : deal->batch->length;
}

/* The next chunk of the deal, behind the one in *s; false: there is none. */
static bool next_share(const ps_deal *deal, int32_t target, share *s)
{
    const ps_kernels *const k = ps_simd_kernels();
    s->start += s->rows;
    s->rows = ps_min_i64(PS_CHUNK_ROWS, row_count(deal) - s->start);
    if (s->rows <= 0) {
        return false;
    }
    k->compare_uint[1][PS_EQ](deal->targets + s->start, target, s->mask, s->rows);
    s->count = deal->selection == NULL
                   ? k->select_rows(s->mask, (uint32_t)s->start, s->numbers, s->rows)
                   : k->select_from(s->mask, deal->selection->rows + s->start, s->numbers, s->rows);
    return true;
}

/* ---- one batch ---- */

static size_t bits_bytes(int64_t count)
{
    return ps_align_up((size_t)(count + 7) / 8 + SLACK_BYTES, 64);
}

static size_t values_bytes(int64_t count, int32_t log2)
{
    return ps_align_up(((size_t)count << log2) + SLACK_BYTES, 64);
}

static size_t column_bytes(const ps_column *column, int64_t count)
{
    const size_t values =
        is_bool(column) ? bits_bytes(count) : values_bytes(count, width_log2(column));
    return values + (column->validity == NULL ? 0 : bits_bytes(count));
}

/* Where the columns of one target lie in its block. */
static ps_status lay_out(const ps_deal *deal, ps_batch *part, ps_error *err)
{
    const ps_batch *const from = deal->batch;
    const int64_t count = part->length;
    size_t size_bytes = from->late_watermark == NULL ? 0 : values_bytes(count, 3);
    for (int32_t i = 0; i < from->column_count; i++) {
        if (is_wanted(&from->columns[i], deal->wanted, i)) {
            size_bytes += column_bytes(&from->columns[i], count);
        }
    }
    ps_block *const block = ps_block_create(part->mem, size_bytes);
    if (block == NULL) {
        return ps_mem_refused(part->mem, size_bytes, "the rows of a shard", err);
    }
    uint8_t *at = block->data;
    for (int32_t i = 0; i < from->column_count; i++) {
        const ps_column *const column = &from->columns[i];
        if (!is_wanted(column, deal->wanted, i)) {
            continue;
        }
        ps_column *const to = &part->columns[i];
        *to = (ps_column){.type = column->type, .length = count, .values = at};
        at += column_bytes(column, count);
        if (column->validity != NULL) {
            to->validity = at - bits_bytes(count);
            to->null_count = -1;
        }
        to->owner = &block->owner;
        ps_owner_retain(to->owner);
    }
    if (from->late_watermark != NULL) {
        part->late_watermark = (const int64_t *)(const void *)at;
        part->late_owner = &block->owner;
        ps_owner_retain(part->late_owner);
    }
    ps_owner_release(&block->owner);
    return PS_OK;
}

/* The block is ours until the batch is handed on. */
static void *writable(const void *section)
{
    return (void *)(uintptr_t)section;
}

static void deal_values(const ps_deal *deal, const share *s, const void *from, int32_t log2,
                        const void *section, int64_t done)
{
    const ps_kernels *const k = ps_simd_kernels();
    uint8_t *const to = (uint8_t *)writable(section) + ((size_t)done << log2);
    if (deal->selection == NULL) {
        (void)k->compress[log2](s->mask, (const uint8_t *)from + ((size_t)s->start << log2), to,
                                s->rows);
    } else {
        k->gather[log2](from, s->numbers, to, s->count);
    }
}

static void deal_bits(const share *s, const uint8_t *from, int64_t bit, const void *section,
                      int64_t done)
{
    uint8_t bytes[PS_CHUNK_ROWS];
    ps_bitmap_gather(from, bit, s->numbers, s->count, bytes);
    ps_bitmap_from_bytes(bytes, s->count, writable(section), done);
}

static void deal_share(const ps_deal *deal, const share *s, ps_batch *part, int64_t done)
{
    const ps_batch *const from = deal->batch;
    for (int32_t i = 0; i < from->column_count; i++) {
        const ps_column *const column = &from->columns[i];
        const ps_column *const to = &part->columns[i];
        if (to->owner == NULL) {
            continue;
        }
        if (is_bool(column)) {
            deal_bits(s, column->values, column->values_bit, to->values, done);
        } else {
            deal_values(deal, s, column->values, width_log2(column), to->values, done);
        }
        if (column->validity != NULL) {
            deal_bits(s, column->validity, column->validity_bit, to->validity, done);
        }
    }
    if (from->late_watermark != NULL) {
        deal_values(deal, s, from->late_watermark, 3, part->late_watermark, done);
    }
}

ps_status ps_deal_batch(const ps_deal *deal, int32_t target, ps_batch **out, ps_error *err)
{
    ps_batch *part;
    PS_TRY(
        ps_batch_create(deal->batch->mem, deal->batch->schema, deal->counts[target], &part, err));
    const ps_status status = lay_out(deal, part, err);
    if (status != PS_OK) {
        ps_batch_release(part);
        return status;
    }
    ps_batch_carry_times(deal->batch, part);
    part->partial = deal->batch->partial;
    share s = {.start = 0, .rows = 0};
    for (int64_t done = 0; next_share(deal, target, &s); done += s.count) {
        deal_share(deal, &s, part, done);
    }
    *out = part;
    return PS_OK;
}

ps_status ps_deal_selection(const ps_deal *deal, int32_t target, ps_selection **out, ps_error *err)
{
    ps_selection *part;
    PS_TRY(ps_selection_create(deal->batch->mem, deal->counts[target], &part, err));
    share s = {.start = 0, .rows = 0};
    while (next_share(deal, target, &s)) {
        memcpy(part->rows + part->count, s.numbers, (size_t)s.count * sizeof(uint32_t));
        part->count += s.count;
    }
    PS_ASSERT(part->count == deal->counts[target]);
    *out = part;
    return PS_OK;
}
