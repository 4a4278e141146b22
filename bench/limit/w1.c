/* w1.c -- the limit of W1: keep event_type 0, count per campaign and 10 s tumbling window.
 *
 * Knows that ad_id is in [0, 1000) and counts per ad, folding ten ads to a campaign when a window
 * closes. Two windows are open at a time (disorder is 1 s, windows are 10 s), so a kept row becomes
 * one 16-bit index: ad_id, plus 1024 when it belongs to the later window.
 *
 * Columns in   ad_id int64, event_type int8, ts int64 (microseconds)
 * Columns out  window start int64, campaign int64, n int64
 * Cost         17 bytes read a row; the loop runs at the speed of memory.
 */
#include "limit.h"

#define WINDOW_US (10 * (int64_t)SECOND_US)
#define AD_COUNT 1000
#define LATER 1024
#define CHUNK_ROWS 4096

typedef struct counter {
    int64_t base_us; /* start of the earlier open window */
    int64_t max_us;
    uint32_t counts[2 * LATER];
} counter;

static void close_window(counter *state, limit_out *out)
{
    int64_t *start = out->col[0];
    int64_t *campaign = out->col[1];
    int64_t *n = out->col[2];
    for (int c = 0; c < AD_COUNT / 10; c++) {
        int64_t sum = 0;
        for (int ad = 10 * c; ad < 10 * c + 10; ad++) {
            sum += state->counts[ad];
        }
        if (sum > 0 && out->row_count < out->capacity) {
            start[out->row_count] = state->base_us;
            campaign[out->row_count] = c;
            n[out->row_count] = sum;
            out->row_count++;
        }
    }
    memcpy(state->counts, state->counts + LATER, sizeof(uint32_t) * LATER);
    memset(state->counts + LATER, 0, sizeof(uint32_t) * LATER);
    state->base_us += WINDOW_US;
}

/* Any time at all: closes what must close first, drops what is late. */
static void add_row_slow(counter *state, int64_t ad, int64_t ts, limit_out *out)
{
    if (ts < state->base_us) {
        out->late_count++;
        return;
    }
    while (ts >= state->base_us + 2 * WINDOW_US) {
        close_window(state, out);
    }
    state->counts[ad + (ts >= state->base_us + WINDOW_US ? LATER : 0)]++;
}

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VBMI2__)

#include <immintrin.h>

/* 8 x int64 to 8 x int16 in the low lanes, the window as +1024. */
static inline __m128i index8(const int64_t *ad, const int64_t *ts, __m512i edge, __m512i *low,
                             __m512i *high)
{
    const __m512i time = _mm512_loadu_si512(ts);
    const __m512i later = _mm512_set1_epi64(LATER);
    *low = _mm512_min_epi64(*low, time);
    *high = _mm512_max_epi64(*high, time);
    const __m512i id = _mm512_loadu_si512(ad);
    return _mm512_cvtepi64_epi16(
        _mm512_mask_add_epi64(id, _mm512_cmpge_epi64_mask(time, edge), id, later));
}

/* Indices of the kept rows of a chunk whose length is a multiple of 32; answers how many. */
static int64_t gather_kept(const int64_t *ad, const int8_t *type, const int64_t *ts, int64_t rows,
                           int64_t edge_us, uint16_t *kept, int64_t *low_us, int64_t *high_us)
{
    const __m512i edge = _mm512_set1_epi64(edge_us);
    __m512i low = _mm512_set1_epi64(INT64_MAX);
    __m512i high = _mm512_set1_epi64(INT64_MIN);
    int64_t count = 0;
    for (int64_t i = 0; i < rows; i += 32) {
        const __m256i types = _mm256_loadu_si256((const __m256i *)(type + i));
        const __mmask32 keep = _mm256_testn_epi8_mask(types, types);
        __m512i index = _mm512_castsi128_si512(index8(ad + i, ts + i, edge, &low, &high));
        index = _mm512_inserti32x4(index, index8(ad + i + 8, ts + i + 8, edge, &low, &high), 1);
        index = _mm512_inserti32x4(index, index8(ad + i + 16, ts + i + 16, edge, &low, &high), 2);
        index = _mm512_inserti32x4(index, index8(ad + i + 24, ts + i + 24, edge, &low, &high), 3);
        _mm512_storeu_si512(kept + count, _mm512_maskz_compress_epi16(keep, index));
        count += _mm_popcnt_u32(keep);
    }
    *low_us = _mm512_reduce_min_epi64(low);
    *high_us = _mm512_reduce_max_epi64(high);
    return count;
}

static int64_t add_chunks(counter *state, const limit_batch *batch, limit_out *out)
{
    const int64_t *ad = batch->col[0];
    const int8_t *type = batch->col[1];
    const int64_t *ts = batch->col[2];
    uint16_t kept[CHUNK_ROWS + 32];
    int64_t done = 0;
    while (batch->row_count - done >= 32) {
        int64_t rows = batch->row_count - done;
        rows = rows > CHUNK_ROWS ? CHUNK_ROWS : rows / 32 * 32;
        int64_t low;
        int64_t high;
        const int64_t count = gather_kept(ad + done, type + done, ts + done, rows,
                                          state->base_us + WINDOW_US, kept, &low, &high);
        if (low >= state->base_us && high < state->base_us + 2 * WINDOW_US) {
            for (int64_t j = 0; j < count; j++) {
                state->counts[kept[j]]++;
            }
        } else {
            for (int64_t i = done; i < done + rows; i++) {
                if (type[i] == 0) {
                    add_row_slow(state, ad[i], ts[i], out);
                }
            }
        }
        state->max_us = high > state->max_us ? high : state->max_us;
        done += rows;
    }
    return done;
}

#else

static int64_t add_chunks(counter *state, const limit_batch *batch, limit_out *out)
{
    (void)state;
    (void)batch;
    (void)out;
    return 0;
}

#endif

int limit_w1(const limit_batch *batches, int64_t batch_count, limit_out *out)
{
    static const int widths[] = {8, 8, 8};
    if (!out_prepare(out, widths, 3)) {
        return -1;
    }
    out->row_count = 0;
    out->late_count = 0;
    counter state = {.max_us = INT64_MIN};
    if (batch_count > 0 && batches[0].row_count > 0) {
        const int64_t first = *(const int64_t *)batches[0].col[2] - DISORDER_US;
        state.base_us = first / WINDOW_US * WINDOW_US;
    }
    for (int64_t b = 0; b < batch_count; b++) {
        const int64_t *ad = batches[b].col[0];
        const int8_t *type = batches[b].col[1];
        const int64_t *ts = batches[b].col[2];
        for (int64_t i = add_chunks(&state, &batches[b], out); i < batches[b].row_count; i++) {
            if (type[i] == 0) {
                add_row_slow(&state, ad[i], ts[i], out);
            }
            state.max_us = ts[i] > state.max_us ? ts[i] : state.max_us;
        }
        while (state.max_us - DISORDER_US >= state.base_us + WINDOW_US) {
            close_window(&state, out);
        }
    }
    close_window(&state, out);
    close_window(&state, out);
    return 0;
}

/* What only reading the three columns costs: the floor under limit_w1. */
int64_t limit_w1_read(const limit_batch *batches, int64_t batch_count)
{
    int64_t sum = 0;
    for (int64_t b = 0; b < batch_count; b++) {
        const int64_t *ad = batches[b].col[0];
        const int8_t *type = batches[b].col[1];
        const int64_t *ts = batches[b].col[2];
        int64_t a = 0;
        int64_t t = 0;
        for (int64_t i = 0; i < batches[b].row_count; i++) {
            a += ad[i];
            t ^= ts[i];
        }
        int8_t e = 0;
        for (int64_t i = 0; i < batches[b].row_count; i++) {
            e ^= type[i];
        }
        sum += a ^ t ^ e;
    }
    return sum;
}
