/* ring.c -- see ring.h. */
#include "queue/ring.h"

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
    ring->rows_pushed = 0;
    ring->rows_popped_seen = 0;
    ring->row_limit = row_limit;
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
