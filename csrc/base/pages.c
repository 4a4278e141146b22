/* pages.c -- see pages.h. An arena's header lies in its first unit: a block's arena is its address
 * rounded down. */
#include "base/pages.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define UNIT_COUNT ((int32_t)(PS_PAGES_ARENA / PS_PAGES_UNIT))
#define WORD_COUNT (UNIT_COUNT / 64)
#define PAGE_UNITS ((int32_t)(PS_PAGES_HUGE / PS_PAGES_UNIT))
#define PAGE_WORDS (PAGE_UNITS / 64)
#define PAGE_COUNT (UNIT_COUNT / PAGE_UNITS)
#define TOUCH_STEP ((size_t)4 << 10) /* no page of the system is smaller */
#define LIMIT_MOST ((int64_t)1 << 30)

typedef struct arena {
    struct arena *next;
    int32_t free_units;
    int32_t too_long; /* no free run has that many units */
    uint64_t used[WORD_COUNT];
    uint64_t touched[WORD_COUNT]; /* since the system cleared it */
} arena;

static_assert(sizeof(arena) <= PS_PAGES_UNIT, "the header fits into the first unit");

typedef struct pool {
    pthread_mutex_t lock;
    arena *first; /* oldest first */
    int64_t kept_bytes;
    int64_t limit_bytes;
} pool;

static pool pages = {.lock = PTHREAD_MUTEX_INITIALIZER};
static pthread_once_t prepared = PTHREAD_ONCE_INIT;

/* ---- the lock ---- */

static void lock_pool(void)
{
    pthread_mutex_lock(&pages.lock);
}

static void unlock_pool(void)
{
    pthread_mutex_unlock(&pages.lock);
}

static void prepare(void)
{
    const int64_t memory_bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * (int64_t)sysconf(_SC_PAGESIZE);
    pages.limit_bytes = ps_min_i64(ps_max_i64(memory_bytes / 8, 0), LIMIT_MOST);
    (void)pthread_atfork(lock_pool, unlock_pool, unlock_pool);
}

static void enter(void)
{
    (void)pthread_once(&prepared, prepare);
    lock_pool();
}

/* ---- sets of units ---- */

/* The first unit from `from` on that is in the set (or is not, `member` false); UNIT_COUNT: none.
 */
static int32_t next_unit(const uint64_t *set, int32_t from, bool member)
{
    for (int32_t word = from / 64; word < WORD_COUNT; word++) {
        uint64_t bits = member ? set[word] : ~set[word];
        if (word == from / 64) {
            bits &= ~UINT64_C(0) << (from % 64);
        }
        if (bits != 0) {
            return word * 64 + __builtin_ctzll(bits);
        }
    }
    return UNIT_COUNT;
}

static void put_units(uint64_t *set, int32_t start, int32_t count, bool member)
{
    for (int32_t at = start; at < start + count;) {
        const int32_t bit = at % 64;
        const int32_t n = start + count - at < 64 - bit ? start + count - at : 64 - bit;
        const uint64_t bits = (n == 64 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1) << bit;
        set[at / 64] = member ? set[at / 64] | bits : set[at / 64] & ~bits;
        at += n;
    }
}

/* Where `count` free units begin, on a multiple of `step`; -1: nowhere. */
static int32_t find_run(const arena *in, int32_t count, int32_t step)
{
    for (int32_t start = 0; start + count <= UNIT_COUNT;) {
        const int32_t free_at = next_unit(in->used, start, false);
        start = (free_at + step - 1) / step * step;
        const int32_t end = start < UNIT_COUNT ? next_unit(in->used, start, true) : start;
        if (start + count <= end) {
            return start;
        }
        start = end > start ? end : start + 1;
    }
    return -1;
}

static bool page_is_kept(const arena *in, int32_t page)
{
    uint64_t used = 0, touched = 0;
    for (int32_t i = 0; i < PAGE_WORDS; i++) {
        used |= in->used[page * PAGE_WORDS + i];
        touched |= in->touched[page * PAGE_WORDS + i];
    }
    return used == 0 && touched != 0;
}

/* Bytes of the kept pages that the units overlap. */
static int64_t kept_around(const arena *in, int32_t start, int32_t count)
{
    int64_t kept = 0;
    for (int32_t page = start / PAGE_UNITS; page <= (start + count - 1) / PAGE_UNITS; page++) {
        kept += page_is_kept(in, page) ? (int64_t)PS_PAGES_HUGE : 0;
    }
    return kept;
}

/* ---- mappings ---- */

static void *map_aligned(size_t bytes, size_t alignment)
{
    uint8_t *raw =
        mmap(NULL, bytes + alignment, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (raw == MAP_FAILED) {
        return NULL;
    }
    uint8_t *start = (uint8_t *)ps_align_up((uintptr_t)raw, alignment);
    const size_t before = (size_t)(start - raw);
    if (before > 0) {
        munmap(raw, before);
    }
    if (before < alignment) {
        munmap(start + bytes, alignment - before);
    }
#ifdef MADV_HUGEPAGE
    (void)madvise(start, bytes, MADV_HUGEPAGE); /* only a wish: nothing depends on it */
#endif
    return start;
}

static arena *add_arena(void)
{
    arena *const made = map_aligned(PS_PAGES_ARENA, PS_PAGES_ARENA);
    if (made == NULL) {
        return NULL;
    }
    made->free_units = UNIT_COUNT - 1;
    made->too_long = UNIT_COUNT;
    put_units(made->used, 0, 1, true);
    arena **last = &pages.first;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = made;
    return made;
}

/* Whether nothing but its header is left in it. */
static bool is_bare(const arena *in)
{
    return in->free_units == UNIT_COUNT - 1 &&
           next_unit(in->touched, PAGE_UNITS, true) == UNIT_COUNT;
}

/* One bare arena stays, or a block that comes and goes would map and clear memory every time. */
static bool another_is_bare(const arena *than)
{
    for (const arena *in = pages.first; in != NULL; in = in->next) {
        if (in != than && is_bare(in)) {
            return true;
        }
    }
    return false;
}

static void drop_arena(arena *dropped)
{
    arena **link = &pages.first;
    while (*link != dropped) {
        link = &(*link)->next;
    }
    *link = dropped->next;
    munmap(dropped, PS_PAGES_ARENA);
}

/* Gives the kept page back; its next touch gets a clear one. */
static void give_back(arena *in, int32_t page)
{
    if (madvise((uint8_t *)in + (size_t)page * PS_PAGES_HUGE, PS_PAGES_HUGE, MADV_DONTNEED) == 0) {
        put_units(in->touched, page * PAGE_UNITS, PAGE_UNITS, false);
        pages.kept_bytes -= (int64_t)PS_PAGES_HUGE;
    }
}

/* ---- blocks ---- */

static void *take_units(arena *in, int32_t start, int32_t count, bool *is_zero)
{
    pages.kept_bytes -= kept_around(in, start, count);
    *is_zero = next_unit(in->touched, start, true) >= start + count;
    put_units(in->used, start, count, true);
    put_units(in->touched, start, count, true);
    in->free_units -= count;
    return (uint8_t *)in + (size_t)start * PS_PAGES_UNIT;
}

static void *take_from_arenas(int32_t count, bool *is_zero)
{
    const int32_t step = count >= PAGE_UNITS ? PAGE_UNITS : 1;
    for (arena *in = pages.first; in != NULL; in = in->next) {
        if (in->free_units < count || in->too_long <= count) {
            continue;
        }
        const int32_t start = find_run(in, count, step);
        if (start >= 0) {
            return take_units(in, start, count, is_zero);
        }
        if (step == 1) {
            in->too_long = count;
        }
    }
    arena *const made = add_arena();
    return made == NULL ? NULL : take_units(made, find_run(made, count, step), count, is_zero);
}

void *ps_pages_take(size_t size_bytes, bool *is_zero)
{
    PS_ASSERT(size_bytes > 0 && size_bytes == ps_pages_round(size_bytes));
    if (size_bytes > PS_PAGES_BLOCK_MAX) {
        *is_zero = true;
        return map_aligned(size_bytes, PS_PAGES_HUGE);
    }
    enter();
    void *const block = take_from_arenas((int32_t)(size_bytes / PS_PAGES_UNIT), is_zero);
    unlock_pool();
    return block;
}

void ps_pages_give(void *block, size_t size_bytes)
{
    if (size_bytes > PS_PAGES_BLOCK_MAX) {
        munmap(block, size_bytes);
        return;
    }
    arena *const in = (arena *)((uintptr_t)block & ~(uintptr_t)(PS_PAGES_ARENA - 1));
    const int32_t start = (int32_t)(((uintptr_t)block - (uintptr_t)in) / PS_PAGES_UNIT);
    const int32_t count = (int32_t)(size_bytes / PS_PAGES_UNIT);
    enter();
    PS_ASSERT(next_unit(in->used, start, false) >= start + count);
    put_units(in->used, start, count, false);
    in->free_units += count;
    in->too_long = UNIT_COUNT;
    pages.kept_bytes += kept_around(in, start, count);
    for (int32_t page = start / PAGE_UNITS; page <= (start + count - 1) / PAGE_UNITS; page++) {
        if (pages.kept_bytes > pages.limit_bytes && page_is_kept(in, page)) {
            give_back(in, page);
        }
    }
    if (is_bare(in) && another_is_bare(in)) {
        drop_arena(in);
    }
    unlock_pool();
}

/* ---- ahead of blocks ---- */

/* The first page in which no block lies or has lain; -1: all have been touched. */
static int32_t find_untouched(const arena *in)
{
    for (int32_t page = 0; in->free_units >= PAGE_UNITS && page < PAGE_COUNT; page++) {
        uint64_t known = 0;
        for (int32_t i = 0; i < PAGE_WORDS; i++) {
            known |= in->used[page * PAGE_WORDS + i] | in->touched[page * PAGE_WORDS + i];
        }
        if (known == 0) {
            return page;
        }
    }
    return -1;
}

/* Such a page as a block; NULL: enough are kept, or the system refused. */
static void *take_untouched(void)
{
    const int64_t most = ps_min_i64(pages.limit_bytes, PS_PAGES_READY_MOST);
    if (pages.kept_bytes + (int64_t)PS_PAGES_HUGE > most) {
        return NULL;
    }
    arena *in = pages.first;
    while (in != NULL && find_untouched(in) < 0) {
        in = in->next;
    }
    if (in == NULL) {
        in = add_arena();
    }
    bool is_zero = false;
    return in == NULL ? NULL
                      : take_units(in, find_untouched(in) * PAGE_UNITS, PAGE_UNITS, &is_zero);
}

int64_t ps_pages_make_ready(int64_t size_bytes)
{
    int64_t ready_bytes = 0;
    while (ready_bytes + (int64_t)PS_PAGES_HUGE <= size_bytes) {
        enter();
        void *const page = take_untouched();
        unlock_pool();
        if (page == NULL) {
            break;
        }
        for (size_t at = 0; at < PS_PAGES_HUGE; at += TOUCH_STEP) {
            ((volatile uint8_t *)page)[at] = 0;
        }
        ps_pages_give(page, PS_PAGES_HUGE);
        ready_bytes += (int64_t)PS_PAGES_HUGE;
    }
    return ready_bytes;
}

/* ---- what is kept ---- */

/* Newest arenas first would need a way back through the list; which pages go does not matter. */
static void shrink(int64_t limit_bytes)
{
    for (arena *in = pages.first, *next; in != NULL; in = next) {
        next = in->next;
        for (int32_t page = 0; page < PAGE_COUNT && pages.kept_bytes > limit_bytes; page++) {
            if (page_is_kept(in, page)) {
                give_back(in, page);
            }
        }
        if (is_bare(in)) {
            drop_arena(in);
        }
    }
}

int64_t ps_pages_kept(void)
{
    enter();
    const int64_t kept = pages.kept_bytes;
    unlock_pool();
    return kept;
}

int64_t ps_pages_limit(void)
{
    enter();
    const int64_t limit = pages.limit_bytes;
    unlock_pool();
    return limit;
}

void ps_pages_set_limit(int64_t limit_bytes)
{
    enter();
    pages.limit_bytes = ps_max_i64(limit_bytes, 0);
    shrink(pages.limit_bytes);
    unlock_pool();
}

int64_t ps_pages_release(void)
{
    enter();
    const int64_t before = pages.kept_bytes;
    shrink(0);
    const int64_t released = before - pages.kept_bytes;
    unlock_pool();
    return released;
}
