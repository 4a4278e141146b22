/* ring.c -- see ring.h. */
#include "queue/ring.h"

enum { KIB_MAX = 32 << 10, KIB_MIN = 256, BUDGET_PART = 4 };

ps_status ps_ring_init(ps_ring *ring, ps_mem *mem, int64_t capacity, int64_t row_limit,
                       ps_park *producer, ps_park *consumer, ps_error *err)
{
    PS_CHECK(capacity > 0 && (capacity & (capacity - 1)) == 0 && row_limit > 0);
    const size_t size_bytes = (size_t)capacity * sizeof(ps_message);
    ps_message *const slots = ps_alloc(mem, size_bytes);
    if (slots == NULL) {
        return ps_mem_refused(mem, size_bytes, "a ring", err);
    }
    atomic_init(&ring->tail, 0);
    atomic_init(&ring->head, 0);
    atomic_init(&ring->rows_popped, 0);
    atomic_init(&ring->kib_pushed, 0);
    atomic_init(&ring->kib_popped, 0);
    ring->rows_pushed = 0;
    ring->rows_popped_seen = 0;
    ring->kib_popped_seen = 0;
    ring->row_limit = row_limit;
    ring->kib_limit = INT64_MAX;
    ring->row_low = row_limit;
    ring->head_seen = 0;
    ring->tail_seen = 0;
    ring->slots = slots;
    ring->mask = (uint64_t)capacity - 1;
    ring->capacity = (uint64_t)capacity;
    ring->producer = producer;
    ring->consumer = consumer;
    ring->mem = mem;
    return PS_OK;
}

int64_t ps_ring_kib_limit(const ps_mem *mem, int32_t ring_count)
{
    const int64_t budget_kib = ps_mem_budget(mem) >> 10;
    if (budget_kib == 0 || ring_count == 0) {
        return KIB_MAX;
    }
    return ps_max_i64(ps_min_i64(budget_kib / BUDGET_PART / ring_count, KIB_MAX), KIB_MIN);
}

void ps_ring_add_to(const ps_ring *ring, ps_occupancy *sum)
{
    sum->used += ps_ring_size(ring);
    sum->capacity += (int64_t)ring->capacity;
    sum->bytes += ps_ring_kib(ring) << 10;
    sum->max_bytes += ring->kib_limit == INT64_MAX ? 0 : ring->kib_limit << 10;
}

void ps_ring_fini(ps_ring *ring)
{
    if (ring->slots == NULL) {
        return;
    }
    ps_message message;
    while (ps_ring_try_pop(ring, &message)) {
        ps_message_clear(&message);
    }
    ps_free(ring->mem, ring->slots, (size_t)ring->capacity * sizeof(ps_message));
    ring->slots = NULL;
}
