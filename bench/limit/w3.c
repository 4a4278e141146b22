/* w3.c -- the limits of W3: count per key over hopping 10 s / 1 s, then the highest count a window.
 *
 * limit_w3_hash    open addressing: a slot holds the key and its counts in the open slices, so a
 *                  row costs one cache line. When a slice closes, each key's window total gains the
 *                  slice and loses the one that leaves; the highest total is the window's answer.
 * limit_w3_dense   the same with keys known to be [0, 100000): no key is stored or compared.
 *
 * A slice is a second. It closes when the highest time seen is DISORDER_US past its end.
 *
 * Columns in   key int64, ts int64 (microseconds)
 * Columns out  window start int64, top int64
 */
#include "limit.h"

#define SLICE_US ((int64_t)SECOND_US)
#define SLICES_A_WINDOW 10
#define OPEN_SLICES 4
#define AHEAD 32
#define SLOT_BITS 18
#define SLOT_COUNT (1 << SLOT_BITS)

typedef struct slot {
    int64_t key_plus_one; /* 0: empty */
    uint32_t count[OPEN_SLICES];
} slot;

typedef struct hopper {
    uint32_t past[SLICES_A_WINDOW][SLOT_COUNT]; /* closed slices, by index modulo 10 */
    uint32_t total[SLOT_COUNT];                 /* counts of the window that ends last */
    slot slots[SLOT_COUNT];
} hopper;

static void emit_window(limit_out *out, int64_t end_slice, uint32_t top)
{
    if (top > 0) {
        ((int64_t *)out->col[0])[out->row_count] = (end_slice - SLICES_A_WINDOW) * SLICE_US;
        ((int64_t *)out->col[1])[out->row_count] = top;
        out->row_count++;
    }
}

/* Moves one closed slice into the totals and answers the highest total. */
static uint32_t roll(uint32_t *restrict total, uint32_t *restrict leaving,
                     const uint32_t *restrict slice, int64_t count)
{
    uint32_t top = 0;
    for (int64_t s = 0; s < count; s++) {
        total[s] += slice[s] - leaving[s];
        leaving[s] = slice[s];
        top = total[s] > top ? total[s] : top;
    }
    return top;
}

static void close_slice_hash(hopper *state, int64_t slice, limit_out *out)
{
    uint32_t *leaving = state->past[slice % SLICES_A_WINDOW];
    uint32_t top = 0;
    for (int64_t s = 0; s < SLOT_COUNT; s++) {
        uint32_t *count = &state->slots[s].count[slice & (OPEN_SLICES - 1)];
        state->total[s] += *count - leaving[s];
        leaving[s] = *count;
        *count = 0;
        top = state->total[s] > top ? state->total[s] : top;
    }
    emit_window(out, slice + 1, top);
}

static inline void count_row(slot *slots, uint64_t at, int64_t key, int64_t slice)
{
    while (slots[at].key_plus_one != key + 1) {
        if (slots[at].key_plus_one == 0) {
            slots[at].key_plus_one = key + 1;
            break;
        }
        at = (at + 1) & (SLOT_COUNT - 1);
    }
    slots[at].count[slice & (OPEN_SLICES - 1)]++;
}

static int64_t max_of(const int64_t *ts, int64_t rows, int64_t high)
{
    for (int64_t i = 0; i < rows; i++) {
        high = ts[i] > high ? ts[i] : high;
    }
    return high;
}

int limit_w3_hash(const limit_batch *batches, int64_t batch_count, limit_arena *arena,
                  limit_out *out)
{
    static const int widths[] = {8, 8};
    hopper *state = arena_take(arena, (int64_t)sizeof(hopper));
    if (state == NULL || !out_prepare(out, widths, 2)) {
        return -1;
    }
    memset(state, 0, sizeof(hopper));
    out->row_count = 0;
    out->late_count = 0;
    if (batch_count == 0 || batches[0].row_count == 0) {
        return 0;
    }
    int64_t high = ((const int64_t *)batches[0].col[1])[0];
    int64_t open = (high - DISORDER_US) / SLICE_US;
    for (int64_t b = 0; b < batch_count; b++) {
        const int64_t *key = batches[b].col[0];
        const int64_t *ts = batches[b].col[1];
        const int64_t rows = batches[b].row_count;
        uint64_t ring[AHEAD];
        for (int64_t i = 0; i < rows + AHEAD; i++) {
            const int64_t r = i % AHEAD;
            if (i >= AHEAD) {
                const int64_t slice = ts[i - AHEAD] / SLICE_US;
                if (slice < open) {
                    out->late_count++;
                } else {
                    count_row(state->slots, ring[r], key[i - AHEAD], slice);
                }
            }
            if (i < rows) {
                ring[r] = hash_key(key[i]) >> (64 - SLOT_BITS);
                __builtin_prefetch(&state->slots[ring[r]], 1);
            }
        }
        high = max_of(ts, rows, high);
        for (; high - DISORDER_US >= (open + 1) * SLICE_US; open++) {
            close_slice_hash(state, open, out);
        }
    }
    for (int64_t end = open + OPEN_SLICES + SLICES_A_WINDOW; open < end; open++) {
        close_slice_hash(state, open, out);
    }
    return 0;
}

#define KEY_COUNT 100000

typedef struct dense_hopper {
    uint32_t past[SLICES_A_WINDOW][KEY_COUNT];
    uint32_t total[KEY_COUNT];
    uint32_t count[OPEN_SLICES][KEY_COUNT];
} dense_hopper;

static void close_slice_dense(dense_hopper *state, int64_t slice, limit_out *out)
{
    uint32_t *count = state->count[slice & (OPEN_SLICES - 1)];
    const uint32_t top = roll(state->total, state->past[slice % SLICES_A_WINDOW], count, KEY_COUNT);
    memset(count, 0, sizeof(uint32_t) * KEY_COUNT);
    emit_window(out, slice + 1, top);
}

int limit_w3_dense(const limit_batch *batches, int64_t batch_count, limit_arena *arena,
                   limit_out *out)
{
    static const int widths[] = {8, 8};
    dense_hopper *state = arena_take(arena, (int64_t)sizeof(dense_hopper));
    if (state == NULL || !out_prepare(out, widths, 2)) {
        return -1;
    }
    memset(state, 0, sizeof(dense_hopper));
    out->row_count = 0;
    out->late_count = 0;
    if (batch_count == 0 || batches[0].row_count == 0) {
        return 0;
    }
    int64_t high = ((const int64_t *)batches[0].col[1])[0];
    int64_t open = (high - DISORDER_US) / SLICE_US;
    for (int64_t b = 0; b < batch_count; b++) {
        const int64_t *key = batches[b].col[0];
        const int64_t *ts = batches[b].col[1];
        for (int64_t i = 0; i < batches[b].row_count; i++) {
            const int64_t slice = ts[i] / SLICE_US;
            if (slice < open) {
                out->late_count++;
                continue;
            }
            state->count[slice & (OPEN_SLICES - 1)][key[i]]++;
        }
        high = max_of(ts, batches[b].row_count, high);
        for (; high - DISORDER_US >= (open + 1) * SLICE_US; open++) {
            close_slice_dense(state, open, out);
        }
    }
    for (int64_t end = open + OPEN_SLICES + SLICES_A_WINDOW; open < end; open++) {
        close_slice_dense(state, open, out);
    }
    return 0;
}
