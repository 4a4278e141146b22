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

/* The rows of one chunk that go to one target. */
typedef struct share {
    int64_t start; /* first row of the chunk */
    int64_t rows;  /* of the chunk */
    int32_t target;
    int64_t count;           /* of the target among them */
    const uint32_t *numbers; /* their physical rows */
    const uint8_t *mask;     /* a flag a row of the chunk; NULL: the target is one of many */
} share;

/* Chunk by chunk and not target by target: what all targets read comes from memory once. */
typedef struct dealing {
    int64_t start, rows; /* the chunk at hand */
    int32_t target;      /* the next one of the chunk */
    bool sorted;         /* numbers holds all rows of the chunk, by target */
    uint8_t mask[PS_CHUNK_ROWS];
    uint32_t numbers[PS_CHUNK_ROWS + PS_SELECT_SLACK];
    uint32_t ends[PS_KEY_GROUPS + 1]; /* sorted: of each target's numbers, and of nobody's */
    int64_t done[PS_KEY_GROUPS];      /* rows that each target has by now */
} dealing;

static void begin_dealing(const ps_deal *deal, dealing *room)
{
    room->start = room->rows = 0;
    room->target = deal->target_count;
    room->sorted = deal->target_count > PS_DEAL_FEW;
    memset(room->done, 0, (size_t)deal->target_count * sizeof(int64_t));
}

static void sort_numbers(const ps_deal *deal, dealing *room)
{
    const uint16_t *const targets = deal->targets + room->start;
    const uint32_t *const from =
        deal->selection == NULL ? NULL : deal->selection->rows + room->start;
    memset(room->ends, 0, ((size_t)deal->target_count + 1) * sizeof(uint32_t));
    for (int64_t i = 0; i < room->rows; i++) {
        room->ends[targets[i]]++;
    }
    uint32_t next = 0;
    for (int32_t t = 0; t <= deal->target_count; t++) {
        const uint32_t count = room->ends[t];
        room->ends[t] = next;
        next += count;
    }
    for (int64_t i = 0; i < room->rows; i++) {
        room->numbers[room->ends[targets[i]]++] =
            from == NULL ? (uint32_t)(room->start + i) : from[i];
    }
}

static bool next_chunk(const ps_deal *deal, dealing *room)
{
    const int64_t count = deal->selection != NULL ? deal->selection->count : deal->batch->length;
    room->start += room->rows;
    room->rows = ps_min_i64(PS_CHUNK_ROWS, count - room->start);
    if (room->rows > 0 && room->sorted) {
        sort_numbers(deal, room);
    }
    return room->rows > 0;
}

static share share_of(const ps_deal *deal, dealing *room, int32_t target)
{
    const ps_kernels *const k = ps_simd_kernels();
    share s = {
        .start = room->start, .rows = room->rows, .target = target, .numbers = room->numbers};
    if (room->sorted) {
        const uint32_t first = target == 0 ? 0 : room->ends[target - 1];
        s.numbers += first;
        s.count = room->ends[target] - first;
        return s;
    }
    k->compare_uint[1][PS_EQ](deal->targets + s.start, target, room->mask, s.rows);
    s.mask = room->mask;
    s.count = deal->selection == NULL
                  ? k->select_rows(s.mask, (uint32_t)s.start, room->numbers, s.rows)
                  : k->select_from(s.mask, deal->selection->rows + s.start, room->numbers, s.rows);
    return s;
}

/* The next target with rows, of the chunk at hand or a later one; false: all have been dealt. */
static bool next_share(const ps_deal *deal, dealing *room, share *out)
{
    do {
        if (room->target == deal->target_count) {
            if (!next_chunk(deal, room)) {
                return false;
            }
            room->target = 0;
        }
        *out = share_of(deal, room, room->target++);
    } while (out->count == 0);
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
        return ps_mem_refused(part->mem, size_bytes, "dealing rows to a shard", err);
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
    if (deal->selection == NULL && s->mask != NULL) {
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

/* An empty batch for the rows of one target. */
static ps_status begin_batch(const ps_deal *deal, int64_t count, ps_batch **out, ps_error *err)
{
    ps_batch *part;
    PS_TRY(ps_batch_create(deal->batch->mem, deal->batch->schema, count, &part, err));
    const ps_status status = lay_out(deal, part, err);
    if (status != PS_OK) {
        ps_batch_release(part);
        return status;
    }
    ps_batch_carry_times(deal->batch, part);
    part->partial = deal->batch->partial;
    *out = part;
    return PS_OK;
}

/* ---- all targets ---- */

void ps_deal_part_release(ps_deal_part *part)
{
    ps_batch_release(part->batch);
    ps_selection_release(part->selection);
    *part = (ps_deal_part){0};
}

static ps_status begin_part(const ps_deal *deal, bool dense, int64_t count, ps_deal_part *part,
                            ps_error *err)
{
    *part = (ps_deal_part){0};
    if (count == 0) {
        return PS_OK;
    }
    if (dense) {
        return begin_batch(deal, count, &part->batch, err);
    }
    PS_TRY(ps_selection_create(deal->batch->mem, count, &part->selection, err));
    part->batch = deal->batch;
    ps_batch_retain(part->batch);
    return PS_OK;
}

ps_status ps_deal_out(const ps_deal *deal, bool dense, ps_deal_part *parts, ps_error *err)
{
    dealing room;
    for (int32_t t = 0; t < deal->target_count; t++) {
        const ps_status status = begin_part(deal, dense, deal->counts[t], &parts[t], err);
        if (status != PS_OK) {
            for (int32_t made = 0; made < t; made++) {
                ps_deal_part_release(&parts[made]);
            }
            return status;
        }
    }
    share s;
    begin_dealing(deal, &room);
    while (next_share(deal, &room, &s)) {
        const ps_deal_part *const part = &parts[s.target];
        int64_t *const done = &room.done[s.target];
        if (dense) {
            deal_share(deal, &s, part->batch, *done);
        } else {
            memcpy(part->selection->rows + *done, s.numbers, (size_t)s.count * sizeof(uint32_t));
            part->selection->count += s.count;
        }
        *done += s.count;
    }
    return PS_OK;
}

ps_status ps_deal_nobodys(const ps_deal *deal, ps_selection **out, ps_error *err)
{
    const ps_selection *const from = deal->selection;
    ps_selection *rest;
    PS_TRY(ps_selection_create(deal->batch->mem, deal->counts[deal->target_count], &rest, err));
    const int64_t count = from != NULL ? from->count : deal->batch->length;
    for (int64_t i = 0; i < count; i++) {
        if (deal->targets[i] == deal->target_count) {
            rest->rows[rest->count] = from == NULL ? (uint32_t)i : from->rows[i];
            rest->count++;
        }
    }
    *out = rest;
    return PS_OK;
}
