/* log_head.c -- see log_head.h. */
#include "queue/log_head.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/crc32c.h"

#if defined(__linux__) && !defined(PS_LOG_HEAD_PORTABLE)
#define USE_FUTEX 1
#include <linux/futex.h>
#include <sys/syscall.h>
#else
#define USE_FUTEX 0
#endif

enum { LAYOUT_VERSION = 1 };
static const char magic[8] = "PSHEAD01";

typedef struct log_bell {
    _Atomic uint32_t rings;
    _Atomic uint32_t sleepers;
} log_bell;

typedef struct slot {
    _Alignas(PS_CACHE_LINE) _Atomic int64_t end;
    log_bell bell;
    _Alignas(PS_CACHE_LINE) ps_log_tail tail;
    uint32_t tail_crc;
} slot;

struct ps_log_head {
    char magic[8];
    uint32_t version;
    uint32_t partition_count;
    _Alignas(PS_CACHE_LINE) log_bell bell;
    slot slots[];
};

static_assert(sizeof(ps_log_tail) == 48, "padding would be summed");
static_assert(sizeof(slot) == 2 * PS_CACHE_LINE, "the layout is that of a file");
static_assert(offsetof(ps_log_head, slots) == 2 * PS_CACHE_LINE, "the layout is that of a file");

int64_t ps_log_head_bytes(int32_t partition_count)
{
    const size_t bytes = sizeof(ps_log_head) + (size_t)partition_count * sizeof(slot);
    return (int64_t)ps_align_up(bytes, 4096);
}

void ps_log_head_start(int32_t partition_count, uint8_t *out)
{
    const uint32_t words[2] = {LAYOUT_VERSION, (uint32_t)partition_count};
    memcpy(out, magic, sizeof magic);
    memcpy(out + sizeof magic, words, sizeof words);
}

ps_status ps_log_head_map(int fd, const char *name, int32_t partition_count, ps_log_head **out,
                          ps_error *err)
{
    PS_CHECK(partition_count >= 1 && partition_count <= PS_LOG_PARTITIONS_MAX);
    const int64_t bytes = ps_log_head_bytes(partition_count);
    struct stat found;
    if (fstat(fd, &found) != 0 || found.st_size < bytes) {
        return ps_fail(err, PS_CORRUPT, "%s is shorter than the %lld bytes of %d partitions", name,
                       (long long)bytes, (int)partition_count);
    }
    void *const place = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (place == MAP_FAILED) {
        return ps_fail(err, PS_INVALID, "%s cannot be mapped into memory: %s", name,
                       strerror(errno));
    }
    ps_log_head *const head = place;
    if (memcmp(head->magic, magic, sizeof magic) != 0 || head->version != LAYOUT_VERSION ||
        head->partition_count != (uint32_t)partition_count) {
        munmap(place, (size_t)bytes);
        return ps_fail(err, PS_CORRUPT, "%s is not the head of a log of %d partitions", name,
                       (int)partition_count);
    }
    *out = head;
    return PS_OK;
}

void ps_log_head_unmap(ps_log_head *head)
{
    if (head != NULL) {
        munmap(head, (size_t)ps_log_head_bytes((int32_t)head->partition_count));
    }
}

int64_t ps_log_head_end(const ps_log_head *head, int32_t partition)
{
    return atomic_load_explicit(&head->slots[partition].end, memory_order_acquire); /* A1 */
}

static uint32_t crc_of(const ps_log_tail *tail)
{
    return ps_crc32c(0, tail, sizeof *tail);
}

bool ps_log_head_tail(const ps_log_head *head, int32_t partition, uint64_t boot, ps_log_tail *out)
{
    const slot *const from = &head->slots[partition];
    memcpy(out, &from->tail, sizeof *out);
    return from->tail_crc == crc_of(out) && out->boot == boot &&
           out->end == ps_log_head_end(head, partition);
}

static void ring(log_bell *bell)
{
    atomic_fetch_add_explicit(&bell->rings, 1, memory_order_seq_cst);
    if (atomic_load_explicit(&bell->sleepers, memory_order_seq_cst) > 0) {
#if USE_FUTEX
        syscall(SYS_futex, &bell->rings, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
#endif
    }
}

void ps_log_head_publish(ps_log_head *head, int32_t partition, const ps_log_tail *tail)
{
    slot *const to = &head->slots[partition];
    to->tail = *tail;
    to->tail_crc = crc_of(tail);
    atomic_store_explicit(&to->end, tail->end, memory_order_release); /* R1 */
    ring(&to->bell);
    ring(&head->bell);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int32_t find_news(const ps_log_head *head, const int32_t *partitions, const int64_t *ends,
                         int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        const int32_t partition = partitions != NULL ? partitions[i] : i;
        if (ps_log_head_end(head, partition) != ends[i]) {
            return i;
        }
    }
    return -1;
}

/* Sleeps while the bell has not been rung since `rings`; false: a signal came. */
static bool sleep_on(log_bell *bell, uint32_t rings, int64_t limit_ns, int64_t *pause_ns)
{
#if USE_FUTEX
    (void)pause_ns;
    const struct timespec limit = {.tv_sec = limit_ns / 1000000000,
                                   .tv_nsec = limit_ns % 1000000000};
    const long result = syscall(SYS_futex, &bell->rings, FUTEX_WAIT, rings, &limit, NULL, 0);
    return result == 0 || errno != EINTR;
#else
    if (atomic_load_explicit(&bell->rings, memory_order_seq_cst) != rings) {
        return true;
    }
    const int64_t pause = ps_min_i64(limit_ns, *pause_ns);
    *pause_ns = ps_min_i64(2 * *pause_ns, 5000000);
    const struct timespec limit = {.tv_sec = pause / 1000000000, .tv_nsec = pause % 1000000000};
    return nanosleep(&limit, NULL) == 0;
#endif
}

int32_t ps_log_head_wait(ps_log_head *head, const int32_t *partitions, const int64_t *ends,
                         int32_t count, int64_t timeout_ns)
{
    PS_ASSERT(count >= 1 && timeout_ns >= 0);
    const int32_t first = partitions != NULL ? partitions[0] : 0;
    log_bell *const bell = count == 1 ? &head->slots[first].bell : &head->bell;
    const int64_t until = now_ns() + timeout_ns;
    int64_t pause_ns = 20000;
    int32_t found = find_news(head, partitions, ends, count);
    if (found >= 0 || timeout_ns == 0) {
        return found;
    }
    atomic_fetch_add_explicit(&bell->sleepers, 1, memory_order_seq_cst);
    for (bool undisturbed = true; found < 0 && undisturbed;) {
        const uint32_t rings = atomic_load_explicit(&bell->rings, memory_order_seq_cst);
        found = find_news(head, partitions, ends, count);
        const int64_t left_ns = until - now_ns();
        if (found >= 0 || left_ns <= 0) {
            break;
        }
        undisturbed = sleep_on(bell, rings, left_ns, &pause_ns);
    }
    atomic_fetch_sub_explicit(&bell->sleepers, 1, memory_order_seq_cst);
    return found;
}
