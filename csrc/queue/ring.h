/* ring.h -- one producer thread hands messages to one consumer thread, without locks.
 *
 *     slots  [ . . a b c d . . ]        capacity is a power of two
 *                  ^head   ^tail        both only grow; slot = index & mask
 *
 * Callers      push: one thread. pop: one thread. size: anyone, as a hint.
 * Full         when all slots are taken; for a batch also when the rows inside reach row_limit or
 *              their KiB reach kib_limit: small batches may queue up in numbers, large ones may not
 *              fill the memory. An empty ring takes any batch, so what is inside is less than
 *              kib_limit beside the last batch. What is no batch needs a slot only.
 *              row_low (at first row_limit) says how many rows are enough for now: it stops nobody,
 *              but tells a producer of many rings when to rest (outbox.h), and a consumer after how
 *              many rows to wake it.
 * Invariants   I1  tail - head <= capacity (unsigned subtraction: the indices may wrap)
 *              I2  slots in [head, tail) are the consumer's, the rest the producer's
 *              I3  rows_pushed - rows_popped is the number of rows in [head, tail), and kib_pushed
 *                  - kib_popped their KiB
 * Orders       R1 release of tail in push  ->  A1 acquire of tail in pop    (slot content)
 *              R2 release of head in pop   ->  A2 acquire of head in push   (slot is free)
 *              The counts of rows and KiB are relaxed: they stand for no other memory. Each has one
 *              writer and only grows, so a stale one makes a ring look fuller than it is, never
 *              emptier; the consumer's come before R2, so who sees a slot free sees its KiB free.
 * Answers      push: false when full. pop: false when empty. Neither is an error.
 * Cost         each side rereads the other's index only when its copy says full or empty.
 * Waking       the ring only knows whom to wake; outbox.c and inbox.c do it.
 */
#ifndef PS_QUEUE_RING_H
#define PS_QUEUE_RING_H

#include <stdatomic.h>

#include "queue/message.h"
#include "queue/park.h"

typedef struct ps_ring {
    /* written by the producer */
    _Alignas(PS_CACHE_LINE) _Atomic uint64_t tail;
    uint64_t head_seen;
    int64_t rows_pushed;
    int64_t rows_popped_seen;
    int64_t kib_popped_seen;
    _Atomic int64_t kib_pushed; /* read by others for metrics */
    /* written by the consumer */
    _Alignas(PS_CACHE_LINE) _Atomic uint64_t head;
    uint64_t tail_seen;
    _Atomic int64_t rows_popped;
    _Atomic int64_t kib_popped;
    /* never written after init */
    _Alignas(PS_CACHE_LINE) ps_message *slots;
    uint64_t mask;
    uint64_t capacity;
    int64_t row_limit;
    int64_t kib_limit; /* INT64_MAX at first: the bytes do not count */
    int64_t row_low;   /* with that many rows its consumer has enough to do; row_limit at first */
    ps_park *producer; /* of the thread that pushes, or NULL */
    ps_park *consumer;
    ps_mem *mem;
} ps_ring;

_Static_assert(offsetof(ps_ring, head) >= PS_CACHE_LINE, "the two sides share a cache line");
_Static_assert(offsetof(ps_ring, slots) >= 2 * PS_CACHE_LINE, "read-only fields share a line");

/* capacity: a power of two. row_limit: positive. */
PS_MUST_CHECK ps_status ps_ring_init(ps_ring *ring, ps_mem *mem, int64_t capacity,
                                     int64_t row_limit, ps_park *producer, ps_park *consumer,
                                     ps_error *err);
/* KiB for each of ring_count rings: 32 MiB, less where the account has a budget of which they could
 * take more than a quarter together. */
int64_t ps_ring_kib_limit(const ps_mem *mem, int32_t ring_count);
/* Clears what is left inside; no thread may use the ring any more. A zeroed ring is allowed. */
void ps_ring_fini(ps_ring *ring);

/* For the producer: whether more rows may go in, as far as it knows. */
static inline bool ps_ring_has_room_for_rows(const ps_ring *ring)
{
    const int64_t kib_pushed = atomic_load_explicit(&ring->kib_pushed, memory_order_relaxed);
    return ring->rows_pushed - ring->rows_popped_seen < ring->row_limit &&
           kib_pushed - ring->kib_popped_seen < ring->kib_limit;
}

/* For the producer: whether its next push of a message of that kind will succeed. */
static inline bool ps_ring_has_room(ps_ring *ring, ps_message_kind kind)
{
    const uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed); /* ours */
    const bool rows = kind == PS_MESSAGE_BATCH;
    if (tail - ring->head_seen == ring->capacity || (rows && !ps_ring_has_room_for_rows(ring))) {
        ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire); /* A2 */
        ring->rows_popped_seen = atomic_load_explicit(&ring->rows_popped, memory_order_relaxed);
        ring->kib_popped_seen = atomic_load_explicit(&ring->kib_popped, memory_order_relaxed);
    }
    return tail - ring->head_seen != ring->capacity && (!rows || ps_ring_has_room_for_rows(ring));
}

/* For the producer: whether the consumer has enough to do for now. */
static inline bool ps_ring_has_enough(ps_ring *ring)
{
    if (ring->rows_pushed - ring->rows_popped_seen < ring->row_low) {
        return false;
    }
    ring->rows_popped_seen = atomic_load_explicit(&ring->rows_popped, memory_order_relaxed);
    return ring->rows_pushed - ring->rows_popped_seen >= ring->row_low;
}

/* On true the ring, and soon the consumer, owns what *message owned: do not look at it again. */
static inline bool ps_ring_try_push(ps_ring *ring, const ps_message *message)
{
    PS_ASSERT(message->kind != PS_MESSAGE_NONE);
    if (!ps_ring_has_room(ring, message->kind)) {
        return false;
    }
    const uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed); /* ours */
    if (message->kind == PS_MESSAGE_BATCH) {
        ring->rows_pushed += ps_message_rows(message);
        const int64_t pushed = atomic_load_explicit(&ring->kib_pushed, memory_order_relaxed);
        atomic_store_explicit(&ring->kib_pushed, pushed + message->size_kib, memory_order_relaxed);
    }
    ring->slots[tail & ring->mask] = *message;
    atomic_store_explicit(&ring->tail, tail + 1, memory_order_release); /* R1 */
    return true;
}

/* On true the caller owns what *out owns. */
static inline bool ps_ring_try_pop(ps_ring *ring, ps_message *out)
{
    const uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed); /* ours */
    if (head == ring->tail_seen) {
        ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire); /* A1 */
        if (head == ring->tail_seen) {
            return false;
        }
    }
    *out = ring->slots[head & ring->mask];
    PS_ASSERT(out->kind != PS_MESSAGE_NONE);
    if (out->kind == PS_MESSAGE_BATCH) {
        const int64_t rows = atomic_load_explicit(&ring->rows_popped, memory_order_relaxed);
        const int64_t kib = atomic_load_explicit(&ring->kib_popped, memory_order_relaxed);
        atomic_store_explicit(&ring->rows_popped, rows + ps_message_rows(out),
                              memory_order_relaxed);
        atomic_store_explicit(&ring->kib_popped, kib + out->size_kib, memory_order_relaxed);
    }
    atomic_store_explicit(&ring->head, head + 1, memory_order_release); /* R2 */
    return true;
}

/* Messages inside, as a hint: exact only while neither side moves. */
static inline int64_t ps_ring_size(const ps_ring *ring)
{
    const uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    const uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    const uint64_t size = tail - head;
    return size <= ring->capacity ? (int64_t)size : (int64_t)ring->capacity;
}

/* KiB of the batches inside, as a hint too. */
static inline int64_t ps_ring_kib(const ps_ring *ring)
{
    const int64_t popped = atomic_load_explicit(&ring->kib_popped, memory_order_relaxed);
    const int64_t pushed = atomic_load_explicit(&ring->kib_pushed, memory_order_relaxed);
    return ps_max_i64(pushed - popped, 0);
}

typedef struct ps_occupancy {
    int64_t used, capacity;   /* messages */
    int64_t bytes, max_bytes; /* of the batches among them */
} ps_occupancy;

void ps_ring_add_to(const ps_ring *ring, ps_occupancy *sum);

#endif
