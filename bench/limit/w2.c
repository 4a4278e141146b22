/* w2.c -- the limits of W2: sum, count, min and max per key and 1 s tumbling window, 1 M keys.
 *
 * limit_w2_plain   per open window an open-addressing index of 4-byte entries and its groups in
 *                  order of arrival; huge pages; both misses of a row are asked for well before it
 *                  is its turn. What a careful hash table can do.
 * limit_w2_radix   rows are appended to hash partitions per window; each partition is aggregated in
 *                  L2 when its window closes. What avoiding the cache misses altogether can do.
 *
 * Both honour the watermark: a window closes when the highest time seen is DISORDER_US past its
 * end, a row of a closed window is counted as late. At most WINDOW_SLOTS windows are open.
 *
 * Columns in   key int64, value float64, ts int64 (microseconds)
 * Columns out  window start int64, key int64, sum float64, n int64, min float64, max float64
 */
#include "limit.h"

#define WINDOW_US ((int64_t)SECOND_US)
#define WINDOW_SLOTS 4

typedef struct group {
    int64_t key;
    double sum;
    double min;
    double max;
    int64_t n; /* 0: no group here */
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

static inline void add_to(group *g, double value)
{
    g->sum += value;
    g->n++;
    g->min = value < g->min ? value : g->min;
    g->max = value > g->max ? value : g->max;
}

static int64_t max_of(const int64_t *ts, int64_t rows, int64_t high)
{
    for (int64_t i = 0; i < rows; i++) {
        high = ts[i] > high ? ts[i] : high;
    }
    return high;
}

/* --- plain ------------------------------------------------------------------------------- */

#define INDEX_BITS 21
#define INDEX_SLOTS (1 << INDEX_BITS)
#define GROUP_BITS 20
#define GROUP_LIMIT ((1 << GROUP_BITS) - 1)
#define LOOKAHEAD 64 /* rows whose hash is remembered; a power of two */
#define TO_INDEX 40  /* rows between asking for the index entry and probing it */
#define TO_GROUP 12  /* rows between asking for the group and updating it */
#define LATE 255

/* An index entry is 0 or tag << GROUP_BITS | number of the group + 1. */
typedef struct plain {
    uint32_t index[WINDOW_SLOTS][INDEX_SLOTS];
    group groups[WINDOW_SLOTS][GROUP_LIMIT + 1];
    int64_t count[WINDOW_SLOTS];
    uint64_t hash[LOOKAHEAD]; /* of the rows under way, by row number modulo LOOKAHEAD */
    uint8_t slot[LOOKAHEAD];  /* of the row's window, or LATE */
} plain;

static void close_plain(plain *state, int64_t window, limit_out *out)
{
    const int64_t w = window & (WINDOW_SLOTS - 1);
    for (int64_t g = 1; g <= state->count[w]; g++) {
        emit(out, window * WINDOW_US, &state->groups[w][g]);
    }
    if (state->count[w] > 0) {
        memset(state->index[w], 0, sizeof(state->index[w]));
    }
    state->count[w] = 0;
}

static inline void ask_for_index(plain *state, int64_t row, int64_t key, int64_t window)
{
    const uint64_t hash = hash_key(key);
    state->hash[row % LOOKAHEAD] = hash;
    state->slot[row % LOOKAHEAD] = (uint8_t)(window & (WINDOW_SLOTS - 1));
    __builtin_prefetch(&state->index[window & (WINDOW_SLOTS - 1)][hash >> (64 - INDEX_BITS)], 1);
}

static inline void ask_for_group(const plain *state, int64_t row)
{
    const uint8_t w = state->slot[row % LOOKAHEAD];
    if (w != LATE) {
        const uint64_t at = state->hash[row % LOOKAHEAD] >> (64 - INDEX_BITS);
        const group *g = &state->groups[w][state->index[w][at] & GROUP_LIMIT];
        __builtin_prefetch(g, 1);
        __builtin_prefetch((const char *)g + sizeof(group) - 1, 1);
    }
}

static inline void upsert(plain *state, int64_t row, int64_t key, double value)
{
    const uint8_t w = state->slot[row % LOOKAHEAD];
    if (w == LATE) {
        return;
    }
    const uint64_t hash = state->hash[row % LOOKAHEAD];
    const uint32_t tag = (uint32_t)hash & ((1 << (32 - GROUP_BITS)) - 1);
    uint32_t *index = state->index[w];
    for (uint64_t at = hash >> (64 - INDEX_BITS);; at = (at + 1) & (INDEX_SLOTS - 1)) {
        const uint32_t entry = index[at];
        if (entry == 0) {
            const int64_t id = ++state->count[w];
            index[at] = (uint32_t)id | (tag << GROUP_BITS);
            state->groups[w][id] =
                (group){.key = key, .sum = value, .min = value, .max = value, .n = 1};
            return;
        }
        group *g = &state->groups[w][entry & GROUP_LIMIT];
        if (entry >> GROUP_BITS == tag && g->key == key) {
            add_to(g, value);
            return;
        }
    }
}

int limit_w2_plain(const limit_batch *batches, int64_t batch_count, limit_arena *arena,
                   limit_out *out)
{
    static const int widths[] = {8, 8, 8, 8, 8, 8};
    plain *state = arena_take(arena, (int64_t)sizeof(plain));
    if (state == NULL || !out_prepare(out, widths, 6)) {
        return -1;
    }
    out->row_count = 0;
    out->late_count = 0;
    if (batch_count == 0 || batches[0].row_count == 0) {
        return 0;
    }
    int64_t high = ((const int64_t *)batches[0].col[2])[0];
    int64_t open = (high - DISORDER_US) / WINDOW_US; /* first window that is not closed */
    for (int64_t b = 0; b < batch_count; b++) {
        const int64_t *key = batches[b].col[0];
        const double *value = batches[b].col[1];
        const int64_t *ts = batches[b].col[2];
        const int64_t rows = batches[b].row_count;
        for (int64_t i = 0; i < rows + TO_INDEX; i++) {
            if (i < rows) {
                const int64_t window = ts[i] / WINDOW_US;
                ask_for_index(state, i, key[i], window);
                if (window < open) {
                    out->late_count++;
                    state->slot[i % LOOKAHEAD] = LATE;
                }
            }
            const int64_t soon = i - (TO_INDEX - TO_GROUP);
            if (soon >= 0 && soon < rows) {
                ask_for_group(state, soon);
            }
            const int64_t now = i - TO_INDEX;
            if (now >= 0) {
                upsert(state, now, key[now], value[now]);
            }
        }
        high = max_of(ts, rows, high);
        for (; high - DISORDER_US >= (open + 1) * WINDOW_US; open++) {
            close_plain(state, open, out);
        }
    }
    for (int64_t w = open; w < open + WINDOW_SLOTS; w++) {
        close_plain(state, w, out);
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

/* Finds the key's slot, or the empty one it belongs into, and adds the value. */
static inline void add_value(group *table, uint64_t slot, int64_t key, double value)
{
    group *g = &table[slot];
    while (g->key != key || g->n == 0) {
        if (g->n == 0) {
            *g = (group){.key = key, .sum = value, .min = value, .max = value, .n = 1};
            return;
        }
        slot = (slot + 1) & (PART_SLOTS - 1);
        g = &table[slot];
    }
    add_to(g, value);
}

static void close_radix(radix *state, int64_t window, limit_out *out)
{
    const int64_t w = window & (WINDOW_SLOTS - 1);
    for (int p = 0; p < PART_COUNT; p++) {
        const pair *rows = state->rows[w][p];
        const int64_t count = state->count[w][p];
        for (int64_t i = 0; i < count; i++) {
            const uint64_t slot =
                (hash_key(rows[i].key) >> (64 - PART_BITS - PART_SLOT_BITS)) & (PART_SLOTS - 1);
            add_value(state->table, slot, rows[i].key, rows[i].value);
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
