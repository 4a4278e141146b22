/* ring_stress.h -- one producer thread and one consumer thread against one ring.
 *
 * Included by test_ring.c once for each way to wait (STRESS_NAME, STRESS_WAIT) so that spinning and
 * sleeping both run. STRESS_WAIT(park) is what a side does when it cannot go on.
 */

static void *STRESS_NAME(produce)(void *argument)
{
    stress *const s = argument;
    for (int64_t i = 0; i < s->count; i++) {
        const ps_message message = {.kind = PS_MESSAGE_BARRIER, .value = i * 7};
        while (!ps_ring_try_push(&s->ring, &message)) {
            STRESS_WAIT(&s->producer_park);
        }
        ps_park_wake(&s->consumer_park);
    }
    return NULL;
}

static void STRESS_NAME(run)(int64_t capacity, uint64_t first_index, int64_t count)
{
    stress s = {.count = count};
    ps_park_init(&s.producer_park, 2);
    ps_park_init(&s.consumer_park, 2);
    start_ring(&s.ring, capacity, first_index);
    pthread_t producer;
    CHECK_EQ(pthread_create(&producer, NULL, STRESS_NAME(produce), &s), 0);
    for (int64_t i = 0; i < count; i++) {
        ps_message message;
        while (!ps_ring_try_pop(&s.ring, &message)) {
            STRESS_WAIT(&s.consumer_park);
        }
        CHECK_EQ(message.value, i * 7);
        CHECK(ps_ring_size(&s.ring) <= capacity);
        ps_park_wake(&s.producer_park);
    }
    CHECK_EQ(pthread_join(producer, NULL), 0);
    CHECK_EQ(ps_ring_size(&s.ring), 0);
    stop_ring(&s.ring);
    ps_park_fini(&s.producer_park);
    ps_park_fini(&s.consumer_park);
}
