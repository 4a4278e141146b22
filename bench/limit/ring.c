/* ring.c -- the limit of a queue between two threads: 8-byte items through one array.
 *
 * The producer stores `batch` items and publishes them with one release; the consumer takes what is
 * there. Each side keeps a copy of the other's index and rereads it only when the copy says full or
 * empty. Both sides spin, so it needs two cores to itself.
 */
#include "limit.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define CAPACITY 4096
#define SPINS_BEFORE_YIELD 1000

typedef struct spsc {
    _Alignas(64) _Atomic uint64_t tail;
    uint64_t head_seen;
    _Alignas(64) _Atomic uint64_t head;
    _Alignas(64) int64_t slots[CAPACITY];
    int64_t count;
    int64_t batch;
} spsc;

static void wait_a_little(int *spins)
{
    if (++*spins % SPINS_BEFORE_YIELD == 0) {
        sched_yield();
    }
}

static void *produce(void *argument)
{
    spsc *ring = argument;
    int spins = 0;
    for (int64_t sent = 0; sent < ring->count;) {
        const uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
        int64_t wanted = ring->count - sent < ring->batch ? ring->count - sent : ring->batch;
        if (CAPACITY - (tail - ring->head_seen) < (uint64_t)wanted) {
            ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
            if (CAPACITY - (tail - ring->head_seen) < (uint64_t)wanted) {
                wait_a_little(&spins);
                continue;
            }
        }
        for (int64_t i = 0; i < wanted; i++) {
            ring->slots[(tail + (uint64_t)i) % CAPACITY] = sent + i;
        }
        atomic_store_explicit(&ring->tail, tail + (uint64_t)wanted, memory_order_release);
        sent += wanted;
    }
    return NULL;
}

/* Sends 0 .. count - 1 through the ring; answers their sum as the consumer saw it, or -1. */
int64_t limit_ring(int64_t count, int64_t batch)
{
    static spsc ring;
    memset(&ring, 0, sizeof(ring));
    ring.count = count;
    ring.batch = batch;
    pthread_t producer;
    if (pthread_create(&producer, NULL, produce, &ring) != 0) {
        return -1;
    }
    int64_t sum = 0;
    int spins = 0;
    for (int64_t seen = 0; seen < count;) {
        const uint64_t head = atomic_load_explicit(&ring.head, memory_order_relaxed);
        const uint64_t tail = atomic_load_explicit(&ring.tail, memory_order_acquire);
        if (head == tail) {
            wait_a_little(&spins);
            continue;
        }
        for (uint64_t i = head; i < tail; i++) {
            sum += ring.slots[i % CAPACITY];
        }
        atomic_store_explicit(&ring.head, tail, memory_order_release);
        seen += (int64_t)(tail - head);
    }
    pthread_join(producer, NULL);
    return sum;
}
