/* part_ring.c -- the engine's ring alone: one thread pushes watermarks, one pops them.
 *
 * Linked with the engine's objects, because the ring is inline and hidden. Both sides spin.
 * Callers: bench/bench_ring.py.
 */
#include <pthread.h>
#include <sched.h>

#include "queue/ring.h"

#define SPINS_BEFORE_YIELD 1000

int64_t part_ring_two_threads(int64_t count, int64_t capacity);
int64_t part_ring_one_thread(int64_t count, int64_t capacity);

typedef struct job {
    ps_ring *ring;
    int64_t count;
} job;

static void wait_a_little(int *spins)
{
    if (++*spins % SPINS_BEFORE_YIELD == 0) {
        sched_yield();
    }
}

static void *push_all(void *argument)
{
    const job *work = argument;
    ps_message message = {.kind = PS_MESSAGE_WATERMARK};
    int spins = 0;
    for (int64_t i = 0; i < work->count; i++) {
        message.value = i;
        while (!ps_ring_try_push(work->ring, &message)) {
            wait_a_little(&spins);
        }
    }
    return NULL;
}

static ps_mem *open_ring(ps_ring *ring, int64_t capacity)
{
    ps_mem *mem = NULL;
    if (ps_mem_create(0, &mem, NULL) != PS_OK) {
        return NULL;
    }
    if (ps_ring_init(ring, mem, capacity, INT64_MAX, NULL, NULL, NULL) != PS_OK) {
        ps_mem_release(mem);
        return NULL;
    }
    return mem;
}

static void close_ring(ps_ring *ring, ps_mem *mem)
{
    ps_ring_fini(ring);
    ps_mem_release(mem);
}

/* Sum of what came out, or -1. */
int64_t part_ring_two_threads(int64_t count, int64_t capacity)
{
    ps_ring ring = {0};
    ps_mem *mem = open_ring(&ring, capacity);
    if (mem == NULL) {
        return -1;
    }
    job work = {.ring = &ring, .count = count};
    pthread_t producer;
    if (pthread_create(&producer, NULL, push_all, &work) != 0) {
        close_ring(&ring, mem);
        return -1;
    }
    int64_t sum = 0;
    int spins = 0;
    ps_message message;
    for (int64_t seen = 0; seen < count;) {
        if (ps_ring_try_pop(&ring, &message)) {
            sum += message.value;
            seen++;
        } else {
            wait_a_little(&spins);
        }
    }
    pthread_join(producer, NULL);
    close_ring(&ring, mem);
    return sum;
}

/* Push and pop by turns in one thread: what the instructions alone cost. */
int64_t part_ring_one_thread(int64_t count, int64_t capacity)
{
    ps_ring ring = {0};
    ps_mem *mem = open_ring(&ring, capacity);
    if (mem == NULL) {
        return -1;
    }
    int64_t sum = 0;
    ps_message message = {.kind = PS_MESSAGE_WATERMARK};
    for (int64_t i = 0; i < count; i++) {
        message.value = i;
        if (!ps_ring_try_push(&ring, &message) || !ps_ring_try_pop(&ring, &message)) {
            sum = -1;
            break;
        }
        sum += message.value;
    }
    close_ring(&ring, mem);
    return sum;
}
