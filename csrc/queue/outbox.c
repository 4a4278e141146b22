/* outbox.c -- see outbox.h. */
#include "queue/outbox.h"

ps_status ps_outbox_init(ps_outbox *outbox, ps_mem *mem, int32_t target_count, ps_error *err)
{
    const size_t size_bytes = (size_t)target_count * sizeof(ps_outbox_target);
    ps_outbox_target *const targets = ps_alloc_zeroed(mem, size_bytes);
    if (targets == NULL) {
        return ps_mem_refused(mem, size_bytes, "an outbox", err);
    }
    for (int32_t i = 0; i < target_count; i++) {
        ps_fifo_init(&targets[i].waiting, mem);
    }
    *outbox = (ps_outbox){.mem = mem, .targets = targets, .target_count = target_count};
    return PS_OK;
}

void ps_outbox_fini(ps_outbox *outbox)
{
    if (outbox->targets == NULL) {
        return;
    }
    for (int32_t i = 0; i < outbox->target_count; i++) {
        ps_fifo_fini(&outbox->targets[i].waiting);
    }
    ps_free(outbox->mem, outbox->targets, (size_t)outbox->target_count * sizeof(ps_outbox_target));
    outbox->targets = NULL;
}

static bool push(ps_ring *ring, const ps_message *message)
{
    if (!ps_ring_try_push(ring, message)) {
        return false;
    }
    if (ring->consumer != NULL) {
        ps_park_wake(ring->consumer);
    }
    return true;
}

ps_status ps_outbox_send(ps_outbox *outbox, int32_t target, const ps_message *taken, ps_error *err)
{
    PS_ASSERT(target >= 0 && target < outbox->target_count);
    ps_outbox_target *const to = &outbox->targets[target];
    if (to->ring != NULL && to->waiting.count == 0 && push(to->ring, taken)) {
        return PS_OK;
    }
    return ps_fifo_put(&to->waiting, taken, err);
}

ps_status ps_outbox_broadcast(ps_outbox *outbox, const ps_message *message, ps_error *err)
{
    PS_ASSERT(message->kind != PS_MESSAGE_BATCH);
    for (int32_t i = 0; i < outbox->target_count; i++) {
        PS_TRY(ps_outbox_send(outbox, i, message, err));
    }
    return PS_OK;
}

bool ps_outbox_flush(ps_outbox *outbox)
{
    bool empty = true;
    bool enough = true;
    for (int32_t i = 0; i < outbox->target_count; i++) {
        ps_outbox_target *const to = &outbox->targets[i];
        if (to->ring == NULL) {
            enough = false;
            continue;
        }
        /* Taken out before it is pushed: from then on the consumer may free its batch. */
        const ps_message *first = ps_fifo_first(&to->waiting);
        while (first != NULL && ps_ring_has_room(to->ring, first->kind)) {
            ps_message message;
            PS_CHECK(ps_fifo_take(&to->waiting, &message) && push(to->ring, &message));
            first = ps_fifo_first(&to->waiting);
        }
        empty = empty && to->waiting.count == 0;
        enough = enough && ps_ring_has_enough(to->ring);
    }
    return empty && !enough;
}
