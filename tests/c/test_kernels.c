/* test_kernels.c -- every kernel of every level against the plain one, bit for bit, on random
 * values with edges, at lengths around each vector width; and the plain ones against a second
 * opinion.
 */
#include <math.h>
#include <string.h>

#include "check.h"
#include "simd/dispatch.h"
#include "simd/kernels.h"

#define N 1024
#define ROOM (N + 2 * PS_SELECT_SLACK)

static uint64_t state = 88172645463325252u;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static int64_t some_i64(void)
{
    static const int64_t edges[] = {
        0,          1,  -1,  INT64_MAX,     INT64_MIN,     INT32_MAX,  INT32_MIN,
        UINT32_MAX, 10, -10, INT64_MAX - 1, INT64_MIN + 1, 1000000007, (int64_t)1 << 53};
    const uint64_t r = next();
    switch (r % 4) {
    case 0: return edges[(r >> 8) % (sizeof edges / sizeof edges[0])];
    case 1: return (int64_t)(r >> 8) % 1000 - 500;
    case 2: return (int64_t)(int32_t)(r >> 16);
    default: return (int64_t)next();
    }
}

static double some_f64(void)
{
    static const double edges[] = {
        0.0,   -0.0,   1.0,    -1.0,   (double)NAN, (double)INFINITY, -(double)INFINITY,
        1e308, -1e308, 5e-324, 0x1p53, 0x1p63,      -0x1p63};
    const uint64_t r = next();
    return r % 3 == 0 ? edges[(r >> 8) % (sizeof edges / sizeof edges[0])]
                      : (double)some_i64() / (double)(1 + (r >> 8) % 1000);
}

typedef struct data {
    int64_t a[N], b[N];
    double f[N], g[N];
    uint8_t m[N], mv[N], k[N], kv[N];
    uint32_t rows[N];
    uint8_t bits[N / 8 + 16];
    int32_t offsets[N + 1];
    char bytes[N * 20];
} data;

typedef struct result {
    _Alignas(64) uint8_t out[ROOM * 16];
    uint8_t valid[ROOM];
    int64_t answer;
} result;

static data in;
static result want, got;
static ps_needle needle;

static void make_data(bool small)
{
    int32_t end = 0;
    static const char *const words[] = {"Google",
                                        "",
                                        "Goo",
                                        "a",
                                        "ab",
                                        "12345678",
                                        "123456789",
                                        "0123456789abcdef",
                                        "0123456789abcdefg",
                                        "GooglE"};
    for (int i = 0; i < N; i++) {
        in.a[i] = small ? (int64_t)(next() % 2000000) - 1000000 : some_i64();
        in.b[i] = small ? (int64_t)(next() % 2000) - 1000 : some_i64();
        in.f[i] = some_f64();
        in.g[i] = some_f64();
        in.m[i] = next() & 1;
        in.mv[i] = next() % 3 != 0;
        in.k[i] = next() & 1;
        in.kv[i] = next() % 3 != 0;
        in.rows[i] = (uint32_t)(next() % N);
        in.offsets[i] = end;
        const char *word = words[next() % 10];
        memcpy(in.bytes + end, word, strlen(word));
        end += (int32_t)strlen(word);
    }
    in.offsets[N] = end;
    for (size_t i = 0; i < sizeof in.bits; i++) {
        in.bits[i] = (uint8_t)next();
    }
    const char *word = words[next() % 10];
    needle = (ps_needle){word, (int64_t)strlen(word)};
}

/* Runs one kernel by number into r; false past the last. */
static bool run(const ps_kernels *k, int which, int64_t n, int64_t step, result *r)
{
    void *out = r->out;
    const uint64_t *ua = (const uint64_t *)in.a, *ub = (const uint64_t *)in.b;
    int first = 0;
#define FAMILY(count) (which - first < (count) ? true : (first += (count), false))
    if (FAMILY(PS_ARITH_COUNT)) {
        k->arith_f64[which - first](in.f, in.g, step, out, n);
    } else if (FAMILY(PS_ARITH_COUNT)) {
        if (k->arith_i64[which - first] != NULL) {
            r->answer = k->arith_i64[which - first](in.a, in.b, step, out, n) != 0;
        }
    } else if (FAMILY(PS_ARITH_COUNT)) {
        if (k->arith_u64[which - first] != NULL) {
            r->answer = k->arith_u64[which - first](ua, ub, step, out, n) != 0;
        }
    } else if (FAMILY(PS_COMPARE_COUNT)) {
        k->compare_i64[which - first](in.a, in.b, step, out, n);
    } else if (FAMILY(PS_COMPARE_COUNT)) {
        k->compare_u64[which - first](ua, ub, step, out, n);
    } else if (FAMILY(PS_COMPARE_COUNT)) {
        k->compare_iu[which - first](in.a, ub, step, out, n);
    } else if (FAMILY(PS_COMPARE_COUNT)) {
        k->compare_f64[which - first](in.f, in.g, step, out, n);
    } else if (FAMILY(PS_COMPARE_COUNT)) {
        k->compare_u8[which - first](in.m, in.k, step, out, n);
    } else if (FAMILY(4 * PS_COMPARE_COUNT)) {
        const int width = (which - first) / PS_COMPARE_COUNT;
        static const int64_t small[] = {100, 10000, 1000000, 1};
        k->compare_int[width][(which - first) % PS_COMPARE_COUNT](in.a, small[width], out, n);
    } else if (FAMILY(4 * PS_COMPARE_COUNT)) {
        const int width = (which - first) / PS_COMPARE_COUNT;
        k->compare_uint[width][(which - first) % PS_COMPARE_COUNT](in.a, 200, out, n);
    } else if (FAMILY(PS_COMPARE_COUNT)) {
        k->compare_f32[which - first](in.f, 0.5, out, n);
    } else if (FAMILY(18)) {
        const ps_divider by =
            ps_divider_make((const int64_t[]){1, 2, 3, 7, 10, 1000000007}[(which - first) / 3]);
        ((which - first) % 3 == 0   ? k->divide_i64
         : (which - first) % 3 == 1 ? k->modulo_i64
                                    : k->truncate_i64)(in.a, &by, out, n);
    } else if (FAMILY(24)) {
        switch (which - first) {
        case 0: r->answer = k->negate_i64(in.a, out, n) != 0; break;
        case 1: r->answer = k->abs_i64(in.a, out, n) != 0; break;
        case 2: k->negate_f64(in.f, out, n); break;
        case 3: k->abs_f64(in.f, out, n); break;
        case 4: k->sqrt_f64(in.f, out, n); break;
        case 5: k->f64_from_i64(in.a, out, n); break;
        case 6: k->f64_from_u64(ua, out, n); break;
        case 7: r->answer = k->outside_i64(in.a, -1000000, 1000000, n) != 0; break;
        case 8: k->mask_and(in.m, in.k, out, n); break;
        case 9: k->mask_or(in.m, in.k, out, n); break;
        case 10: k->mask_xor(in.m, in.k, out, n); break;
        case 11: k->mask_not(in.m, out, n); break;
        case 12: k->kleene_and(in.m, in.mv, in.k, in.kv, out, r->valid, n); break;
        case 13: k->kleene_or(in.m, in.mv, in.k, in.kv, out, r->valid, n); break;
        case 14: k->choose_8(in.m, in.k, in.kv, out, n); break;
        case 15: k->choose_64(in.m, ua, ub, out, n); break;
        case 16: k->choose_128(in.m, ua, ub, out, n / 2); break;
        case 17: k->any_equal_i64(in.a, 10, out, n); break;
        case 18: k->any_equal_f64(in.f, 1.0, out, n); break;
        case 19: r->answer = k->select_rows(in.m, 100, out, n); break;
        case 20: r->answer = k->select_from(in.m, in.rows, out, n); break;
        case 21: r->answer = k->pack_bits(in.m, out, n); break;
        case 22: k->narrow_f32(in.f, out, n); break;
        case 23:
            k->string_equal(in.offsets, in.bytes, step ? NULL : in.rows, &needle, out, n);
            break;
        }
    } else if (FAMILY(8)) {
        k->unpack_bits(in.bits, which - first, out, n);
    } else if (FAMILY(4)) {
        k->gather[which - first](in.a, in.rows, out, n);
    } else if (FAMILY(3)) {
        k->narrow[which - first](ua, out, n);
    } else if (FAMILY(4)) {
        switch (which - first) {
        case 0:
            if (n > 0) {
                k->range_i64(in.a, n, out, (int64_t *)out + 1);
            }
            break;
        case 1: k->add_passed_i64(in.a, in.b[0], out, n); break;
        case 2: r->answer = k->any_outside_u64(ua, ub[0], ub[1], n); break;
        case 3: k->hash_u64(ua, out, n); break;
        }
    } else if (FAMILY(4)) {
        r->answer = k->compress[which - first](in.m, in.a, out, n);
        const size_t end = (size_t)r->answer << (which - first); /* what is behind means nothing */
        memset((char *)out + end, 0, sizeof r->out - end);
    } else {
        return false;
    }
    return true;
}

/* NaN has one meaning and many bits. */
static bool same_result(const result *x, const result *y, size_t size)
{
    for (size_t i = 0; i + 8 <= size; i += 8) {
        double p, q;
        memcpy(&p, x->out + i, 8);
        memcpy(&q, y->out + i, 8);
        if (memcmp(&p, &q, 8) != 0 && !(isnan(p) && isnan(q))) {
            return false;
        }
    }
    return memcmp(x->valid, y->valid, sizeof x->valid) == 0 && x->answer == y->answer;
}

#define SELECT_FIRST (8 * PS_COMPARE_COUNT + 8 * PS_COMPARE_COUNT + PS_COMPARE_COUNT + 18 + 19)

static void compare_levels(int64_t n, int64_t step)
{
    const ps_kernels *plain = NULL;
    for (int which = 0;; which++) {
        bool more = true;
        for (int32_t level = 0; level < ps_simd_level_count(); level++) {
            CHECK_OK(ps_simd_force(ps_simd_level_name(level), NULL));
            const ps_kernels *k = ps_simd_kernels();
            result *r = level == 0 ? &want : &got;
            memset(r, 0, sizeof *r);
            more = run(k, which, n, step, r);
            const bool selects = which == SELECT_FIRST || which == SELECT_FIRST + 1;
            if (selects) {
                CHECK(r->answer >= 0 && r->answer <= n);
                memset(r->out + (size_t)r->answer * 4, 0, sizeof r->out - (size_t)r->answer * 4);
            }
            plain = level == 0 ? k : plain;
            if (level > 0 && !same_result(&want, &got, sizeof want.out)) {
                CHECK_FAIL("kernel %d of %s differs from %s at n %d, step %d", which, k->name,
                           plain->name, (int)n, (int)step);
            }
        }
        if (!more) {
            CHECK_EQ(which, 9 * PS_COMPARE_COUNT + 8 * PS_COMPARE_COUNT + 18 + 24 + 23);
            return;
        }
    }
}

static void test_levels_agree(void)
{
    static const int64_t sizes[] = {0, 1, 7, 8, 9, 15, 16, 17, 31, 63, 64, 65, 127, 1000, N};
    for (int round = 0; round < 40; round++) {
        make_data(round % 2 == 0);
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            compare_levels(sizes[s], 1);
            compare_levels(sizes[s], 0);
        }
    }
}

static void test_division_by_constants(void)
{
    static const int64_t divisors[] = {1,
                                       2,
                                       3,
                                       5,
                                       7,
                                       10,
                                       64,
                                       641,
                                       1000,
                                       86400,
                                       (1 << 30) + 1,
                                       INT32_MAX,
                                       (int64_t)1 << 31,
                                       ((int64_t)1 << 31) + 1,
                                       86400000000000,
                                       ((int64_t)1 << 62) + 1,
                                       INT64_MAX};
    for (int32_t level = 0; level < ps_simd_level_count(); level++) {
        CHECK_OK(ps_simd_force(ps_simd_level_name(level), NULL));
        const ps_kernels *k = ps_simd_kernels();
        for (int round = 0; round < 30; round++) {
            make_data(round % 3 == 0);
            for (size_t d = 0; d < sizeof divisors / sizeof divisors[0]; d++) {
                for (int i = 0; round % 3 == 2 && i < N; i++) { /* about multiples, below 2^52 */
                    const int64_t near = (int64_t)(next() >> 12) / divisors[d] * divisors[d];
                    in.a[i] = (near - 1 + (int64_t)(next() % 3)) * (next() % 2 ? 1 : -1);
                }
                const ps_divider by = ps_divider_make(divisors[d]);
                static int64_t q[N], r[N], t[N];
                k->divide_i64(in.a, &by, q, N);
                k->modulo_i64(in.a, &by, r, N);
                k->truncate_i64(in.a, &by, t, N);
                for (int i = 0; i < N; i++) {
                    const int64_t rest = in.a[i] % divisors[d];
                    const int64_t wanted = in.a[i] / divisors[d] - (rest < 0);
                    CHECK_EQ(q[i], wanted);
                    CHECK_EQ(r[i], rest < 0 ? rest + divisors[d] : rest);
                    CHECK_EQ(t[i], (int64_t)((uint64_t)in.a[i] - (uint64_t)r[i]));
                }
            }
        }
    }
}

static void test_overflow_is_seen_exactly(void)
{
    for (int32_t level = 0; level < ps_simd_level_count(); level++) {
        CHECK_OK(ps_simd_force(ps_simd_level_name(level), NULL));
        const ps_kernels *k = ps_simd_kernels();
        for (int round = 0; round < 20000; round++) {
            const int64_t a = some_i64(), b = some_i64();
            const uint64_t ua = (uint64_t)a, ub = (uint64_t)b;
            int64_t out, wanted;
            uint64_t uout, uwanted;
            CHECK_EQ(k->arith_i64[PS_ADD](&a, &b, 1, &out, 1) != 0,
                     __builtin_add_overflow(a, b, &wanted));
            CHECK_EQ(out, wanted);
            CHECK_EQ(k->arith_i64[PS_SUB](&a, &b, 1, &out, 1) != 0,
                     __builtin_sub_overflow(a, b, &wanted));
            CHECK_EQ(out, wanted);
            CHECK_EQ(k->arith_i64[PS_MUL](&a, &b, 0, &out, 1) != 0,
                     __builtin_mul_overflow(a, b, &wanted));
            CHECK_EQ(out, wanted);
            CHECK_EQ(k->arith_u64[PS_ADD](&ua, &ub, 1, &uout, 1) != 0,
                     __builtin_add_overflow(ua, ub, &uwanted));
            CHECK_EQ(k->arith_u64[PS_SUB](&ua, &ub, 1, &uout, 1) != 0,
                     __builtin_sub_overflow(ua, ub, &uwanted));
            CHECK_EQ(uout, uwanted);
        }
    }
}

static void test_masks_and_rows(void)
{
    for (int32_t level = 0; level < ps_simd_level_count(); level++) {
        CHECK_OK(ps_simd_force(ps_simd_level_name(level), NULL));
        const ps_kernels *k = ps_simd_kernels();
        make_data(true);
        static uint32_t rows[ROOM];
        static uint8_t bits[N / 8], back[N];
        const int64_t count = k->select_rows(in.m, 5, rows, N);
        int64_t at = 0;
        for (uint32_t i = 0; i < N; i++) {
            if (in.m[i]) {
                CHECK_EQ(rows[at++], i + 5);
            }
        }
        CHECK_EQ(count, at);
        static int64_t kept[ROOM];
        CHECK_EQ(k->compress[3](in.m, in.a, kept, N), count);
        for (int64_t i = 0; i < count; i++) {
            CHECK_EQ(kept[i], in.a[rows[i] - 5]);
        }
        CHECK_EQ(k->pack_bits(in.m, bits, N), count);
        k->unpack_bits(bits, 3, back, N - 3);
        CHECK(memcmp(back, in.m + 3, N - 3) == 0);
        static uint8_t same[N];
        k->string_equal(in.offsets, in.bytes, NULL, &needle, same, N);
        for (int i = 0; i < N; i++) {
            const int32_t size = in.offsets[i + 1] - in.offsets[i];
            CHECK_EQ(same[i], size == needle.size_bytes &&
                                  memcmp(in.bytes + in.offsets[i], needle.data, (size_t)size) == 0);
        }
    }
}

int main(void)
{
    RUN(test_levels_agree);
    RUN(test_division_by_constants);
    RUN(test_overflow_is_seen_exactly);
    RUN(test_masks_and_rows);
    return 0;
}
