/* test_park.c -- parking: a wake-up is never lost, a time limit is kept; both implementations. */
#include <pthread.h>
#include <time.h>

#include "check.h"
#include "queue/park.h"

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void a_wake_before_the_wait_is_kept(void)
{
    ps_park park;
    ps_park_init(&park, 1);
    ps_park_wake(&park);
    ps_park_wake(&park);
    CHECK(ps_park_wait(&park, -1));
    CHECK(!ps_park_wait(&park, 1000)); /* two wakes are one token */
    ps_park_fini(&park);
}

static void a_time_limit_is_kept(void)
{
    ps_park park;
    ps_park_init(&park, 1);
    const int64_t start = now_ns();
    CHECK(!ps_park_wait(&park, 20 * 1000000));
    CHECK(now_ns() - start >= 20 * 1000000);
    CHECK(!ps_park_wait(&park, 0));
    ps_park_fini(&park);
}

/* Two threads hand a number to and fro, each sleeping until it is its turn: one lost wake-up and
 * the test never ends. The number is plain memory: ThreadSanitizer sees whether the token orders
 * it. */
typedef struct table {
    ps_park parks[2];
    _Atomic int32_t turn;
    int64_t number;
    int64_t rounds;
} table;

typedef struct player {
    table *at;
    int32_t seat;
} player;

static void *play(void *argument)
{
    const player *const me = argument;
    table *const at = me->at;
    for (int64_t i = 0; i < at->rounds; i++) {
        while (atomic_load_explicit(&at->turn, memory_order_relaxed) != me->seat) {
            /* A time limit now and then, so that it meets wake-ups too. */
            ps_park_wait(&at->parks[me->seat], i % 64 == 0 ? 1000 : -1);
        }
        atomic_load_explicit(&at->turn, memory_order_acquire);
        CHECK_EQ(at->number, 2 * i + me->seat);
        at->number++;
        atomic_store_explicit(&at->turn, 1 - me->seat, memory_order_release);
        ps_park_wake(&at->parks[1 - me->seat]);
    }
    return NULL;
}

static void no_wake_up_is_lost(void)
{
    for (int32_t threads = 1; threads <= 1024; threads += 1023) { /* with and without spinning */
        table at = {.rounds = 20000};
        ps_park_init(&at.parks[0], threads);
        ps_park_init(&at.parks[1], threads);
        player players[2] = {{&at, 0}, {&at, 1}};
        pthread_t other;
        CHECK_EQ(pthread_create(&other, NULL, play, &players[1]), 0);
        play(&players[0]);
        CHECK_EQ(pthread_join(other, NULL), 0);
        CHECK_EQ(at.number, 2 * at.rounds);
        ps_park_fini(&at.parks[0]);
        ps_park_fini(&at.parks[1]);
    }
}

/* What the token alone publishes: plain memory written before a wake, read after the wait. */
typedef struct note {
    ps_park park;
    int64_t text;
} note;

static void *leave_note(void *argument)
{
    note *const left = argument;
    left->text = 42;
    ps_park_wake(&left->park);
    return NULL;
}

static void the_token_publishes_what_came_before(void)
{
    for (int32_t i = 0; i < 200; i++) {
        note left = {.text = 0};
        ps_park_init(&left.park, 1024);
        pthread_t other;
        CHECK_EQ(pthread_create(&other, NULL, leave_note, &left), 0);
        while (!ps_park_wait(&left.park, i % 2 == 0 ? -1 : 10000)) {
        }
        CHECK_EQ(left.text, 42);
        CHECK_EQ(pthread_join(other, NULL), 0);
        ps_park_fini(&left.park);
    }
}

int main(void)
{
    RUN(a_wake_before_the_wait_is_kept);
    RUN(a_time_limit_is_kept);
    RUN(no_wake_up_is_lost);
    RUN(the_token_publishes_what_came_before);
    return 0;
}
