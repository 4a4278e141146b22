/* test_outbox.c -- the way out: order per target, full rings, results without a ring. */
#include "check.h"
#include "flow.h"
#include "queue/outbox.h"

static void send_value(ps_outbox *outbox, int32_t target, int64_t value)
{
    const ps_message message = {.kind = PS_MESSAGE_BARRIER, .value = value};
    CHECK_OK(ps_outbox_send(outbox, target, &message, NULL));
}

static void a_full_ring_holds_up_only_its_own_target(void)
{
    ps_mem *const mem = flow_begin();
    ps_ring rings[2];
    ps_park park;
    ps_park_init(&park, 1);
    ps_outbox outbox;
    CHECK_OK(ps_outbox_init(&outbox, mem, 2, NULL));
    for (int32_t i = 0; i < 2; i++) {
        CHECK_OK(ps_ring_init(&rings[i], mem, 2, 100, NULL, &park, NULL));
        outbox.targets[i].ring = &rings[i];
    }
    for (int64_t i = 0; i < 5; i++) {
        send_value(&outbox, 0, i);
    }
    CHECK(ps_park_wait(&park, 0)); /* the consumer was woken */
    CHECK(!ps_outbox_flush(&outbox));
    send_value(&outbox, 1, 100);
    ps_message message;
    CHECK(ps_ring_try_pop(&rings[1], &message));
    CHECK_EQ(message.value, 100);
    for (int64_t i = 0; i < 5; i++) {
        CHECK(ps_ring_try_pop(&rings[0], &message));
        CHECK_EQ(message.value, i);
        CHECK_EQ(ps_outbox_flush(&outbox), i >= 2);
    }
    ps_outbox_fini(&outbox);
    ps_ring_fini(&rings[0]);
    ps_ring_fini(&rings[1]);
    ps_park_fini(&park);
    flow_end(mem);
}

/* Rows in every ring are enough at row_low; while one has less, the others may go on to fill. */
static void enough_for_all_is_enough(void)
{
    ps_mem *const mem = flow_begin();
    ps_ring rings[2];
    ps_outbox outbox;
    CHECK_OK(ps_outbox_init(&outbox, mem, 2, NULL));
    for (int32_t i = 0; i < 2; i++) {
        CHECK_OK(ps_ring_init(&rings[i], mem, 16, 100, NULL, NULL, NULL));
        rings[i].row_low = 10;
        outbox.targets[i].ring = &rings[i];
    }
    for (int32_t i = 0; i < 6; i++) { /* 5 rows each: the first ring gets 20, then the second 10 */
        CHECK(ps_outbox_flush(&outbox));
        const ps_message batch = {.kind = PS_MESSAGE_BATCH, .batch = flow_batch(mem, 5, 0, 3)};
        CHECK_OK(ps_outbox_send(&outbox, i < 4 ? 0 : 1, &batch, NULL));
    }
    CHECK_EQ(outbox.targets[0].waiting.count, 0);
    CHECK(!ps_outbox_flush(&outbox));
    ps_message message;
    CHECK(ps_ring_try_pop(&rings[0], &message)); /* 15 are left: still enough */
    ps_message_clear(&message);
    CHECK(!ps_outbox_flush(&outbox));
    for (int32_t i = 0; i < 2; i++) {
        CHECK(ps_ring_try_pop(&rings[0], &message));
        ps_message_clear(&message);
    }
    CHECK(ps_outbox_flush(&outbox));
    ps_outbox_fini(&outbox);
    ps_ring_fini(&rings[0]);
    ps_ring_fini(&rings[1]);
    flow_end(mem);
}

static void what_waits_is_released_at_the_end(void)
{
    ps_mem *const mem = flow_begin();
    ps_ring ring;
    ps_outbox outbox;
    CHECK_OK(ps_ring_init(&ring, mem, 1, 100, NULL, NULL, NULL));
    CHECK_OK(ps_outbox_init(&outbox, mem, 1, NULL));
    outbox.targets[0].ring = &ring;
    for (int32_t i = 0; i < 3; i++) {
        const ps_message batch = {.kind = PS_MESSAGE_BATCH, .batch = flow_batch(mem, 5, 0, 3)};
        CHECK_OK(ps_outbox_send(&outbox, 0, &batch, NULL));
    }
    ps_outbox_fini(&outbox);
    ps_ring_fini(&ring);
    flow_end(mem);
}

static void without_a_ring_it_collects(void)
{
    ps_mem *const mem = flow_begin();
    ps_outbox outbox;
    CHECK_OK(ps_outbox_init(&outbox, mem, 2, NULL));
    CHECK_OK(ps_outbox_broadcast(&outbox, &(ps_message){.kind = PS_MESSAGE_END}, NULL));
    CHECK(ps_outbox_flush(&outbox));
    CHECK_EQ(outbox.targets[0].waiting.count, 1);
    CHECK_EQ(outbox.targets[1].waiting.count, 1);
    ps_outbox_fini(&outbox);
    flow_end(mem);
}

int main(void)
{
    RUN(a_full_ring_holds_up_only_its_own_target);
    RUN(enough_for_all_is_enough);
    RUN(what_waits_is_released_at_the_end);
    RUN(without_a_ring_it_collects);
    return 0;
}
