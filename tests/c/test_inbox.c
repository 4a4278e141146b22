/* test_inbox.c -- the inbox: fairness, held channels, wake-ups, many producers. */
#include <pthread.h>

#include "check.h"
#include "flow.h"
#include "queue/inbox.h"
#include "queue/outbox.h"

enum { PRODUCERS_MAX = 4 };

typedef struct hub {
    ps_ring rings[PRODUCERS_MAX];
    ps_park parks[PRODUCERS_MAX];
    ps_park park;
    ps_inbox inbox;
    int32_t count;
} hub;

static void open_hub(hub *h, ps_mem *mem, int32_t count, int64_t capacity)
{
    h->count = count;
    ps_park_init(&h->park, 1024);
    CHECK_OK(ps_inbox_init(&h->inbox, mem, count, NULL));
    for (int32_t i = 0; i < count; i++) {
        ps_park_init(&h->parks[i], 1024);
        CHECK_OK(ps_ring_init(&h->rings[i], mem, capacity, 100, &h->parks[i], &h->park, NULL));
        h->inbox.channels[i].ring = &h->rings[i];
    }
}

static void close_hub(hub *h)
{
    ps_inbox_fini(&h->inbox);
    for (int32_t i = 0; i < h->count; i++) {
        ps_ring_fini(&h->rings[i]);
        ps_park_fini(&h->parks[i]);
    }
    ps_park_fini(&h->park);
}

static void channels_take_turns_and_held_ones_are_left(void)
{
    ps_mem *const mem = flow_begin();
    hub h;
    open_hub(&h, mem, 3, 4);
    for (int64_t i = 0; i < 12; i++) {
        const ps_message message = {.kind = PS_MESSAGE_BARRIER, .value = i % 3};
        CHECK(ps_ring_try_push(&h.rings[i % 3], &message));
    }
    ps_occupancy found;
    ps_inbox_size(&h.inbox, &found);
    CHECK_EQ(found.used, 12);
    CHECK_EQ(found.capacity, 12);
    CHECK_EQ(found.bytes, 0);
    ps_message message;
    int32_t channel;
    for (int32_t i = 0; i < 6; i++) {
        CHECK(ps_inbox_try_pop(&h.inbox, &message, &channel));
        CHECK_EQ(channel, i % 3);
        CHECK_EQ(message.value, channel);
    }
    h.inbox.channels[1].held = true;
    for (int32_t i = 0; i < 4; i++) {
        CHECK(ps_inbox_try_pop(&h.inbox, &message, &channel));
        CHECK(channel != 1);
    }
    CHECK(!ps_inbox_try_pop(&h.inbox, &message, &channel));
    h.inbox.channels[1].held = false;
    CHECK(ps_inbox_try_pop(&h.inbox, &message, &channel));
    CHECK_EQ(channel, 1);
    close_hub(&h);
    flow_end(mem);
}

static void producers_hear_of_room(void)
{
    ps_mem *const mem = flow_begin();
    hub h;
    open_hub(&h, mem, 1, 8);
    const ps_message message = {.kind = PS_MESSAGE_BARRIER};
    while (ps_ring_try_push(&h.rings[0], &message)) {
    }
    ps_message out;
    int32_t channel;
    for (int32_t i = 0; i < 3; i++) {
        CHECK(ps_inbox_try_pop(&h.inbox, &out, &channel));
    }
    CHECK(!ps_park_wait(&h.parks[0], 0)); /* not for every slot */
    CHECK(ps_inbox_try_pop(&h.inbox, &out, &channel));
    CHECK(ps_park_wait(&h.parks[0], 0)); /* half is free */
    CHECK(ps_inbox_try_pop(&h.inbox, &out, &channel));
    ps_inbox_announce(&h.inbox);
    CHECK(ps_park_wait(&h.parks[0], 0)); /* the consumer goes to sleep */
    ps_inbox_announce(&h.inbox);
    CHECK(!ps_park_wait(&h.parks[0], 0));
    close_hub(&h);
    flow_end(mem);
}

typedef struct producer {
    ps_mem *mem;
    hub *at;
    int32_t index;
    int64_t count;
} producer;

static void *produce(void *argument)
{
    const producer *const p = argument;
    ps_outbox outbox;
    CHECK_OK(ps_outbox_init(&outbox, p->mem, 1, NULL));
    outbox.targets[0].ring = &p->at->rings[p->index];
    for (int64_t i = 0; i < p->count; i++) {
        const ps_message message = {.kind = PS_MESSAGE_BARRIER, .value = i};
        CHECK_OK(ps_outbox_send(&outbox, 0, &message, NULL));
        while (!ps_outbox_flush(&outbox)) {
            ps_park_wait(&p->at->parks[p->index], -1);
        }
    }
    ps_outbox_fini(&outbox);
    return NULL;
}

static void many_producers_lose_nothing(void)
{
    for (int32_t count = 1; count <= PRODUCERS_MAX; count++) {
        ps_mem *const mem = flow_begin();
        hub h;
        open_hub(&h, mem, count, 4);
        producer producers[PRODUCERS_MAX];
        pthread_t threads[PRODUCERS_MAX];
        int64_t seen[PRODUCERS_MAX] = {0};
        const int64_t each = 10000;
        for (int32_t i = 0; i < count; i++) {
            producers[i] = (producer){mem, &h, i, each};
            CHECK_EQ(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
        }
        for (int64_t left = each * count; left > 0; left--) {
            ps_message message;
            int32_t channel;
            while (!ps_inbox_try_pop(&h.inbox, &message, &channel)) {
                ps_inbox_announce(&h.inbox);
                ps_park_wait(&h.park, -1);
            }
            CHECK_EQ(message.value, seen[channel]);
            seen[channel]++;
        }
        for (int32_t i = 0; i < count; i++) {
            CHECK_EQ(pthread_join(threads[i], NULL), 0);
            CHECK_EQ(seen[i], each);
        }
        close_hub(&h);
        flow_end(mem);
    }
}

int main(void)
{
    RUN(channels_take_turns_and_held_ones_are_left);
    RUN(producers_hear_of_room);
    RUN(many_producers_lose_nothing);
    return 0;
}
