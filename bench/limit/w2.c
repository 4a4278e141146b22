/* w2.c -- the limits of W2: sum, count, min and max per key and 1 s tumbling window, 1 M keys.
 *
 * limit_w2_plain   one open-addressing table per open window, huge pages, every row prefetched
 *                  AHEAD rows before it is probed. What a careful hash table can do.
 * limit_w2_radix   rows are appended to hash partitions per window; each partition is aggregated in
 *                  L2 when its window closes. What avoiding the cache misses altogether can do.
 *
 * Both honour the watermark: a window closes when the highest time seen is DISORDER_US past its end,
 * a row of a closed window is counted as late. At most WINDOW_SLOTS windows are open.
 *
 * Columns in   key int64, value float64, ts int64 (microseconds)
 * Columns out  window start int64, key int64, sum float64, n int64, min float64, max float64
 */
#include "limit.h"

#include <stdlib.h>

#define WINDOW_US ((int64_t)SECOND_US)
#define WINDOW_SLOTS 4
#define AHEAD 24

typedef struct group {
    int64_t key;
    double sum;
    double min;
    double max;
    int64_t n; /* 0: the slot is empty */
} group;

/* Writes one group as the next output row. */
static inline void emit(limit_out *out, int64_t start_us, const group *g)
{
    const int64_t row = out->row_count++;
    ((int64_t *)out->col[0])[row] = start_us;
    ((int64_t *)out->col[1])[row] = g->key;
    ((double *)out->col[2])[row] = g->sum;
    ((int64_t *)out->col[3])[row] = g->n;
    ((double *)out->col[4])[row] = g->min;
    ((double *)out->col[5])[row] = g->max;
}

/* Finds the key's slot, or the empty one it belongs into, and adds the value. */
static inline void add_value(group *table, uint64_t mask, uint64_t slot, int64_t key, double value)
{
    group *g = &table[slot];
    while (g->key != key || g->n == 0) {
        if (g->n == 0) {
            *g = (group){.key = key, .sum = value, .min = value, .max = value, .n = 1};
            return;
        }
        slot = (slot + 1) & mask;
        g = &table[slot];
    }
    g->sum += value;
    g->n++;
    g->min = value < g->min ? value : g->min;
    g->max = value > g->max ? value : g->max;
}

/* --- plain ------------------------------------------------------------------------------- */

#define PLAIN_BITS 20
#define PLAIN_SLOTS ((int64_t)1 << PLAIN_BITS)

static void close_plain(group *table, int64_t start_us, limit_out *out)
{
    for (int64_t s = 0; s < PLAIN_SLOTS; s++) {
        if (table[s].n != 0) {
            emit(out, start_us, &table[s]);
            table[s].n = 0;
        }
    }
}

/* Where a row goes: window index modulo WINDOW_SLOTS above the slot's bits. */
static inline uint64_t address(int64_t key, int64_t window)
{
    return ((uint64_t)(window & (WINDOW_SLOTS - 1)) << PLAIN_BITS) |
           (hash_key(key) >> (64 - PLAIN_BITS));
}

static int64_t max_of(const int64_t *ts, int64_t rows, int64_t high)
{
    for (int64_t i = 0; i < rows; i++) {
        high = ts[i] > high ? ts[i] : high;
    }
    return high;
}

int limit_w2_plain(const limit_batch *batches, int64_t batch_count, limit_arena *arena,
                   limit_out *out)
{
    static const int widths[] = {8, 8, 8, 8, 8, 8};
    group *tables = arena_take(arena, WINDOW_SLOTS * PLAIN_SLOTS * (int64_t)sizeof(group));
    if (tables == NULL || !out_prepare(out, widths, 6)) {
        return -1;
    }
    out->row_count = 0;
    out->late_count = 0;
    if (batch_count == 0 || batches[0].row_count == 0) {
        return 0;
    }
    int64_t high = ((const int64_t *)batches[0].col[2])[0];
    int64_t open = (high - DISORDER_US) / WINDOW_US; /* first window that is not closed */
    uint64_t ring[AHEAD];
    for (int64_t b = 0; b < batch_count; b++) {
        const int64_t *key = batches[b].col[0];
        const double *value = batches[b].col[1];
        const int64_t *ts = batches[b].col[2];
        const int64_t rows = batches[b].row_count;
        for (int64_t i = 0; i < rows + AHEAD; i++) {
            const int64_t r = i % AHEAD;
            if (i >= AHEAD && ring[r] != UINT64_MAX) {
                group *table = tables + (ring[r] & ~(uint64_t)(PLAIN_SLOTS - 1));
                add_value(table, PLAIN_SLOTS - 1, ring[r] & (PLAIN_SLOTS - 1), key[i - AHEAD],
                          value[i - AHEAD]);
            }
            if (i < rows) {
                const int64_t window = ts[i] / WINDOW_US;
                ring[r] = UINT64_MAX;
                if (window < open) {
                    out->late_count++;
                } else {
                    ring[r] = address(key[i], window);
                    __builtin_prefetch(&tables[ring[r]], 1);
                    __builtin_prefetch((char *)&tables[ring[r]] + sizeof(group) - 1, 1);
                }
            }
        }
        high = max_of(ts, rows, high);
        for (; high - DISORDER_US >= (open + 1) * WINDOW_US; open++) {
            close_plain(tables + (open & (WINDOW_SLOTS - 1)) * PLAIN_SLOTS, open * WINDOW_US, out);
        }
    }
    for (int64_t w = open; w < open + WINDOW_SLOTS; w++) {
        close_plain(tables + (w & (WINDOW_SLOTS - 1)) * PLAIN_SLOTS, w * WINDOW_US, out);
    }
    return 0;
}

/* --- radix ------------------------------------------------------------------------------- */

#define PART_BITS 6
#define PART_COUNT (1 << PART_BITS)
#define PART_SLOT_BITS 14 /* 64 x 2^14 = 1 M slots; one table is 640 KiB and stays in L2 */
#define PART_SLOTS (1 << PART_SLOT_BITS)
#define PART_ROWS 40960 /* a window of 1 M rows gives 15.6 k rows a partition */

typedef struct pair {
    int64_t key;
    double value;
} pair;

typedef struct radix {
    group table[PART_SLOTS];
    int64_t count[WINDOW_SLOTS][PART_COUNT];
    pair rows[WINDOW_SLOTS][PART_COUNT][PART_ROWS];
} radix;

static void close_radix(radix *state, int64_t window, limit_out *out)
{
    const int64_t w = window & (WINDOW_SLOTS - 1);
    for (int p = 0; p < PART_COUNT; p++) {
        const pair *rows = state->rows[w][p];
        const int64_t count = state->count[w][p];
        for (int64_t i = 0; i < count; i++) {
            const uint64_t slot = (hash_key(rows[i].key) >> (64 - PART_BITS - PART_SLOT_BITS)) &
                                  (PART_SLOTS - 1);
            add_value(state->table, PART_SLOTS - 1, slot, rows[i].key, rows[i].value);
        }
        for (int64_t s = 0; s < PART_SLOTS; s++) {
            if (state->table[s].n != 0) {
                emit(out, window * WINDOW_US, &state->table[s]);
                state->table[s].n = 0;
            }
        }
        state->count[w][p] = 0;
    }
}

int limit_w2_radix(const limit_batch *batches, int64_t batch_count, limit_arena *arena,
                   limit_out *out)
{
    static const int widths[] = {8, 8, 8, 8, 8, 8};
    radix *state = arena_take(arena, (int64_t)sizeof(radix));
    if (state == NULL || !out_prepare(out, widths, 6)) {
        return -1;
    }
    out->row_count = 0;
    out->late_count = 0;
    if (batch_count == 0 || batches[0].row_count == 0) {
        return 0;
    }
    int64_t high = ((const int64_t *)batches[0].col[2])[0];
    int64_t open = (high - DISORDER_US) / WINDOW_US;
    for (int64_t b = 0; b < batch_count; b++) {
        const int64_t *key = batches[b].col[0];
        const double *value = batches[b].col[1];
        const int64_t *ts = batches[b].col[2];
        for (int64_t i = 0; i < batches[b].row_count; i++) {
            const int64_t window = ts[i] / WINDOW_US;
            if (window < open) {
                out->late_count++;
                continue;
            }
            const int64_t w = window & (WINDOW_SLOTS - 1);
            const uint64_t p = hash_key(key[i]) >> (64 - PART_BITS);
            const int64_t at = state->count[w][p]++;
            if (at >= PART_ROWS) {
                return -1; /* more rows in a window than this limit was made for */
            }
            state->rows[w][p][at] = (pair){.key = key[i], .value = value[i]};
        }
        high = max_of(ts, batches[b].row_count, high);
        for (; high - DISORDER_US >= (open + 1) * WINDOW_US; open++) {
            close_radix(state, open, out);
        }
    }
    for (int64_t w = open; w < open + WINDOW_SLOTS; w++) {
        close_radix(state, w, out);
    }
    return 0;
}
