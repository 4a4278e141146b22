/* base.h -- compiler and platform: attributes, assertions, cache-line size, small arithmetic.
 *
 * Every file of the core includes it first. It holds no state and no functions with a body worth a
 * test beyond the helpers below.
 */
#ifndef PS_BASE_BASE_H
#define PS_BASE_BASE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define PS_CACHE_LINE 64
#define PS_CHUNK_ROWS 1024      /* rows an expression or a probe loop works on at once (L1/L2) */
#define PS_BATCH_ROWS_MAX 65536 /* rows of the largest batch that travels; larger ones are cut */
#define PS_BATCH_BYTES_MAX (8 << 20) /* of a batch made of results or state, if it has two rows */
/* Input is cut finer: its columns then stay in L2 from operator to operator, and a window closes
 * before the next but one has grown (W2: 17 MB less state). */
#define PS_INPUT_ROWS 16384
#define PS_KEY_GROUPS 1024    /* slices of the hash space: unit of ownership and of state files */
#define PS_TIME_MIN INT64_MIN /* a watermark before any row */
#define PS_TIME_MAX INT64_MAX /* the watermark of an input that has ended */

#define PS_API __attribute__((visibility("default")))
#define PS_MUST_CHECK __attribute__((warn_unused_result))
#define PS_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define PS_LIKELY(x) __builtin_expect(!!(x), 1)
#define PS_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define PS_NOINLINE __attribute__((noinline))
#define PS_INLINE static inline __attribute__((always_inline))
#define PS_PREFETCH(p) __builtin_prefetch((p), 1, 3)
/* For loops that read a column in order: asks for what comes 6 KiB later. The hardware stops at
 * each 4 KiB page, this does not (measured: a quarter more rows a second; 2 to 12 KiB alike). */
#define PS_PREFETCH_STREAM(p) __builtin_prefetch((const void *)((uintptr_t)(p) + 6144), 0, 3)

/* PS_CHECK is always on and guards edges; PS_ASSERT guards invariants in debug builds. */
#define PS_CHECK(cond)                                                                             \
    do {                                                                                           \
        if (PS_UNLIKELY(!(cond))) {                                                                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)
#ifdef PS_DEBUG
#define PS_ASSERT(cond) PS_CHECK(cond)
#else
#define PS_ASSERT(cond) ((void)sizeof(!(cond)))
#endif

static inline int64_t ps_min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t ps_max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Rounds up to a multiple of a power of two. */
static inline size_t ps_align_up(size_t n, size_t alignment)
{
    return (n + alignment - 1) & ~(alignment - 1);
}

#endif
