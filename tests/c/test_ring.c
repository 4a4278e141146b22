/* test_ring.c -- the ring: order, full and empty, the index wrap, two threads. */
#include <pthread.h>
#include <sched.h>

#include "check.h"
#include "flow.h"
#include "queue/ring.h"

static ps_mem *mem;

/* A ring whose indices start anywhere, as if that many messages had gone through. */
static void start_ring(ps_ring *ring, int64_t capacity, uint64_t first_index)
{
    CHECK_OK(ps_ring_init(ring, mem, capacity, INT64_MAX, NULL, NULL, NULL));
    atomic_store_explicit(&ring->head, first_index, memory_order_relaxed);
    atomic_store_explicit(&ring->tail, first_index, memory_order_relaxed);
    ring->head_seen = first_index;
    ring->tail_seen = first_index;
}

static void stop_ring(ps_ring *ring)
{
    ps_ring_fini(ring);
    CHECK_EQ(ps_mem_used(mem), 0);
}

static void keeps_order_and_says_full_and_empty(void)
{
    for (int64_t capacity = 1; capacity <= 8; capacity *= 2) {
        ps_ring ring;
        start_ring(&ring, capacity, UINT64_MAX - 3); /* wraps while in use */
        ps_message message = {.kind = PS_MESSAGE_WATERMARK};
        int64_t pushed = 0;
        int64_t popped = 0;
        for (int32_t round = 0; round < 5; round++) {
            while (ps_ring_try_push(&ring,
                                    &(ps_message){.kind = PS_MESSAGE_WATERMARK, .value = pushed})) {
                pushed++;
            }
            CHECK_EQ(pushed - popped, capacity);
            CHECK_EQ(ps_ring_size(&ring), capacity);
            while (ps_ring_try_pop(&ring, &message)) {
                CHECK_EQ(message.kind, PS_MESSAGE_WATERMARK);
                CHECK_EQ(message.value, popped);
                popped++;
            }
            CHECK_EQ(popped, pushed);
            CHECK_EQ(ps_ring_size(&ring), 0);
        }
        stop_ring(&ring);
    }
}

static void rows_fill_a_ring_too(void)
{
    ps_ring ring;
    CHECK_OK(ps_ring_init(&ring, mem, 8, 100, NULL, NULL, NULL));
    ps_message message = {.kind = PS_MESSAGE_BATCH, .batch = flow_batch(mem, 60, 0, 3)};
    ps_batch_retain(message.batch);
    ps_batch_retain(message.batch);
    CHECK(ps_ring_try_push(&ring, &message));
    CHECK(ps_ring_try_push(&ring, &message)); /* passes the limit: the last one that may */
    CHECK(!ps_ring_try_push(&ring, &message));
    ps_message out;
    CHECK(ps_ring_try_pop(&ring, &out));
    ps_message_clear(&out);
    CHECK(ps_ring_has_room(&ring, PS_MESSAGE_BATCH));
    CHECK(ps_ring_try_pop(&ring, &out));
    ps_message_clear(&out);
    ps_batch_release(message.batch);
    CHECK_OK(ps_selection_create(mem, 10, &message.selection, NULL));
    message.batch = flow_batch(mem, 200, 0, 3); /* larger than the limit, but selected rows count */
    message.selection->count = 10;
    CHECK(ps_ring_try_push(&ring, &message));
    CHECK(ps_ring_has_room(&ring, PS_MESSAGE_BATCH));
    stop_ring(&ring); /* with one inside */
}

static ps_message sized(int64_t size_bytes)
{
    return ps_message_of(flow_batch(mem, 1, 0, 3), NULL, size_bytes);
}

static bool push_sized(ps_ring *ring, int64_t size_bytes)
{
    ps_message message = sized(size_bytes);
    const bool pushed = ps_ring_try_push(ring, &message);
    if (!pushed) {
        ps_message_clear(&message);
    }
    return pushed;
}

static void bytes_fill_a_ring_too(void)
{
    ps_ring ring;
    ps_message out;
    start_ring(&ring, 8, UINT64_MAX - 3);
    ring.kib_limit = 100;
    CHECK(push_sized(&ring, 1 << 20)); /* empty: it takes any batch */
    CHECK_EQ(ps_ring_kib(&ring), 1025);
    CHECK(!push_sized(&ring, 1));
    CHECK(ps_ring_try_push(&ring, &(ps_message){.kind = PS_MESSAGE_WATERMARK, .value = 1}));
    CHECK(ps_ring_try_push(&ring, &(ps_message){.kind = PS_MESSAGE_BARRIER, .value = 2}));
    CHECK(ps_ring_try_pop(&ring, &out));
    ps_message_clear(&out);
    CHECK_EQ(ps_ring_kib(&ring), 0);
    CHECK(push_sized(&ring, 98 << 10)); /* 99 KiB: less than the limit */
    CHECK(push_sized(&ring, 5 << 10));
    CHECK(!push_sized(&ring, 1));
    CHECK_EQ(ps_ring_kib(&ring), 105);
    while (ps_ring_try_pop(&ring, &out)) {
        ps_message_clear(&out);
    }
    CHECK_EQ(ps_ring_kib(&ring), 0);
    const int64_t huge = INT64_MAX; /* the field holds 4 TiB */
    ps_message message = sized(huge);
    CHECK_EQ(message.size_kib, UINT32_MAX);
    ps_message_clear(&message);
    stop_ring(&ring);
}

static void the_limit_follows_the_budget(void)
{
    CHECK_EQ(ps_ring_kib_limit(mem, 4), 32 << 10);
    ps_mem *small;
    CHECK_OK(ps_mem_create(64 << 20, &small, NULL));
    CHECK_EQ(ps_ring_kib_limit(small, 4), 4 << 10); /* a quarter, for all together */
    CHECK_EQ(ps_ring_kib_limit(small, 4000), 256);
    ps_mem_release(small);
}

static void two_indices_have_their_own_lines(void)
{
    CHECK(offsetof(ps_ring, head) - offsetof(ps_ring, tail) >= PS_CACHE_LINE);
    CHECK(offsetof(ps_ring, slots) - offsetof(ps_ring, head) >= PS_CACHE_LINE);
}

typedef struct stress {
    ps_ring ring;
    ps_park producer_park;
    ps_park consumer_park;
    int64_t count;
} stress;

/* Whoever sees a slot free sees its bytes free: never more than the limit and a batch. */
static void *produce_sizes(void *argument)
{
    stress *const s = argument;
    for (int64_t i = 0; i < s->count; i++) {
        ps_message message = sized((i % 7) << 10); /* 1 to 7 KiB */
        while (!ps_ring_try_push(&s->ring, &message)) {
            ps_park_wait(&s->producer_park, -1);
        }
        CHECK(ps_ring_kib(&s->ring) < s->ring.kib_limit + 7);
        ps_park_wake(&s->consumer_park);
    }
    return NULL;
}

static void two_threads_keep_to_the_bytes(void)
{
    stress s = {.count = 5000};
    ps_park_init(&s.producer_park, 2);
    ps_park_init(&s.consumer_park, 2);
    start_ring(&s.ring, 64, UINT64_MAX - 2000);
    s.ring.kib_limit = 10;
    pthread_t producer;
    CHECK_EQ(pthread_create(&producer, NULL, produce_sizes, &s), 0);
    for (int64_t i = 0; i < s.count; i++) {
        ps_message message;
        while (!ps_ring_try_pop(&s.ring, &message)) {
            ps_park_wait(&s.consumer_park, -1);
        }
        CHECK_EQ(message.size_kib, i % 7 + 1);
        ps_message_clear(&message);
        ps_park_wake(&s.producer_park);
    }
    CHECK_EQ(pthread_join(producer, NULL), 0);
    CHECK_EQ(ps_ring_kib(&s.ring), 0);
    stop_ring(&s.ring);
    ps_park_fini(&s.producer_park);
    ps_park_fini(&s.consumer_park);
}

#define STRESS_NAME(verb) verb##_spinning
#define STRESS_WAIT(park) ((void)(park), sched_yield())
#include "ring_stress.h"
#undef STRESS_NAME
#undef STRESS_WAIT

#define STRESS_NAME(verb) verb##_sleeping
#define STRESS_WAIT(park) ps_park_wait(park, -1)
#include "ring_stress.h"
#undef STRESS_NAME
#undef STRESS_WAIT

static void two_threads_across_the_wrap(void)
{
    for (int64_t capacity = 1; capacity <= 64; capacity *= 4) {
        run_spinning(capacity, UINT64_MAX - 5000, 20000);
        run_sleeping(capacity, UINT64_MAX - 5000, 20000);
    }
}

static void refused_memory_is_an_error(void)
{
    ps_ring ring = {0};
    ps_error err;
    ps_mem_fail_at(mem, 1);
    CHECK_EQ(ps_ring_init(&ring, mem, 8, 1, NULL, NULL, &err), PS_NO_MEMORY);
    ps_ring_fini(&ring);
    CHECK_EQ(ps_mem_used(mem), 0);
}

int main(void)
{
    CHECK_OK(ps_mem_create(0, &mem, NULL));
    RUN(keeps_order_and_says_full_and_empty);
    RUN(rows_fill_a_ring_too);
    RUN(bytes_fill_a_ring_too);
    RUN(the_limit_follows_the_budget);
    RUN(two_threads_keep_to_the_bytes);
    RUN(two_indices_have_their_own_lines);
    RUN(two_threads_across_the_wrap);
    RUN(refused_memory_is_an_error);
    ps_mem_release(mem);
    return 0;
}
