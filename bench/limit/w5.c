/* w5.c -- the limit of W5: keep price > bound; auction, price * 0.908, ts, channel == 'Google'.
 *
 * Knows that the string buffer may be read eight bytes past a row's start (Arrow pads buffers).
 * The flags come out as an Arrow bitmap, the other columns compressed in a register and stored:
 * compressing straight to memory is microcode on AMD.
 *
 * Columns in   auction int64, price float64, channel utf8 (offsets, bytes), ts int64
 * Columns out  auction int64, price float64, ts int64, is_google bitmap
 * Cost         about 34 bytes read and 12 written a row at half kept.
 */
#include "limit.h"

#define GOOGLE UINT64_C(0x656c676f6f47) /* "Google" read little-endian */
#define SIX_BYTES UINT64_C(0xffffffffffff)

typedef struct bit_writer {
    uint64_t word; /* bits not yet written */
    int filled;
    uint64_t *to;
} bit_writer;

/* Appends `count` <= 8 bits. */
static inline void put_bits(bit_writer *bits, uint64_t value, int count)
{
    bits->word |= value << bits->filled;
    bits->filled += count;
    if (bits->filled >= 64) {
        *bits->to++ = bits->word;
        bits->filled -= 64;
        bits->word = bits->filled == 0 ? 0 : value >> (count - bits->filled);
    }
}

static inline bool is_google(const int32_t *offset, const char *bytes, int64_t row)
{
    uint64_t head;
    memcpy(&head, bytes + offset[row], 8);
    return offset[row + 1] - offset[row] == 6 && (head & SIX_BYTES) == GOOGLE;
}

static inline void put_row(const limit_batch *batch, int64_t row, limit_out *out, bit_writer *bits)
{
    const int64_t to = out->row_count++;
    ((int64_t *)out->col[0])[to] = ((const int64_t *)batch->col[0])[row];
    ((double *)out->col[1])[to] = ((const double *)batch->col[1])[row] * 0.908;
    ((int64_t *)out->col[2])[to] = ((const int64_t *)batch->col[4])[row];
    put_bits(bits, is_google(batch->col[2], batch->col[3], row), 1);
}

#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512VL__)

#include <immintrin.h>

/* Rows of a batch that come in whole eights; answers how many it did. */
static int64_t put_eights(const limit_batch *batch, double bound, limit_out *out, bit_writer *bits)
{
    const int64_t *auction = batch->col[0];
    const double *price = batch->col[1];
    const int32_t *offset = batch->col[2];
    const char *bytes = batch->col[3];
    const int64_t *ts = batch->col[4];
    int64_t *to_auction = (int64_t *)out->col[0] + out->row_count;
    double *to_price = (double *)out->col[1] + out->row_count;
    int64_t *to_ts = (int64_t *)out->col[2] + out->row_count;
    const __m512d limit = _mm512_set1_pd(bound);
    const __m512d factor = _mm512_set1_pd(0.908);
    const __m256i six = _mm256_set1_epi32(6);
    const __m512i google = _mm512_set1_epi64((int64_t)GOOGLE);
    const __m512i six_bytes = _mm512_set1_epi64((int64_t)SIX_BYTES);
    const int64_t rows = batch->row_count / 8 * 8;
    for (int64_t i = 0; i < rows; i += 8) {
        const __m512d p = _mm512_loadu_pd(price + i);
        const __mmask8 keep = _mm512_cmp_pd_mask(p, limit, _CMP_GT_OQ);
        const int kept = __builtin_popcount(keep);
        _mm512_storeu_pd(to_price, _mm512_maskz_compress_pd(keep, _mm512_mul_pd(p, factor)));
        _mm512_storeu_si512(to_auction,
                            _mm512_maskz_compress_epi64(keep, _mm512_loadu_si512(auction + i)));
        _mm512_storeu_si512(to_ts, _mm512_maskz_compress_epi64(keep, _mm512_loadu_si512(ts + i)));
        to_price += kept;
        to_auction += kept;
        to_ts += kept;
        const __m256i from = _mm256_loadu_si256((const __m256i *)(offset + i));
        const __m256i till = _mm256_loadu_si256((const __m256i *)(offset + i + 1));
        const __mmask8 try = keep & _mm256_cmpeq_epi32_mask(_mm256_sub_epi32(till, from), six);
        const __m512i head =
            _mm512_mask_i32gather_epi64(_mm512_setzero_si512(), try, from, bytes, 1);
        const __mmask8 match =
            _mm512_mask_cmpeq_epi64_mask(try, _mm512_and_si512(head, six_bytes), google);
        put_bits(bits, _pext_u32(match, keep), kept);
    }
    out->row_count = to_auction - (int64_t *)out->col[0];
    return rows;
}

#else

static int64_t put_eights(const limit_batch *batch, double bound, limit_out *out, bit_writer *bits)
{
    (void)batch;
    (void)bound;
    (void)out;
    (void)bits;
    return 0;
}

#endif

int limit_w5(const limit_batch *batches, int64_t batch_count, double bound, limit_out *out)
{
    static const int widths[] = {8, 8, 8, 1};
    if (!out_prepare(out, widths, 4)) {
        return -1;
    }
    out->row_count = 0;
    out->late_count = 0;
    bit_writer bits = {.to = out->col[3]};
    for (int64_t b = 0; b < batch_count; b++) {
        const double *price = batches[b].col[1];
        for (int64_t i = put_eights(&batches[b], bound, out, &bits); i < batches[b].row_count;
             i++) {
            if (price[i] > bound) {
                put_row(&batches[b], i, out, &bits);
            }
        }
    }
    if (bits.filled > 0) {
        *bits.to = bits.word;
    }
    return 0;
}
