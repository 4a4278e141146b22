/* inbox.c -- see inbox.h. */
#include "queue/inbox.h"

ps_status ps_inbox_init(ps_inbox *inbox, ps_mem *mem, int32_t channel_count, ps_error *err)
{
    const size_t size_bytes = (size_t)channel_count * sizeof(ps_channel);
    ps_channel *const channels = ps_alloc_zeroed(mem, size_bytes);
    if (channels == NULL) {
        return ps_mem_refused(mem, size_bytes, "an inbox", err);
    }
    *inbox = (ps_inbox){.mem = mem, .channels = channels, .channel_count = channel_count};
    return PS_OK;
}

void ps_inbox_fini(ps_inbox *inbox)
{
    if (inbox->channels != NULL) {
        ps_free(inbox->mem, inbox->channels, (size_t)inbox->channel_count * sizeof(ps_channel));
        inbox->channels = NULL;
    }
}

static void tell(ps_channel *channel)
{
    if (channel->untold > 0) {
        channel->untold = 0;
        channel->untold_rows = 0;
        channel->untold_kib = 0;
        if (channel->ring->producer != NULL) {
            ps_park_wake(channel->ring->producer);
        }
    }
}

bool ps_inbox_try_pop(ps_inbox *inbox, ps_message *out, int32_t *channel)
{
    for (int32_t i = 0; i < inbox->channel_count; i++) {
        const int32_t index = inbox->next;
        ps_channel *const from = &inbox->channels[index];
        inbox->next = index + 1 == inbox->channel_count ? 0 : index + 1;
        if (from->held || !ps_ring_try_pop(from->ring, out)) {
            continue;
        }
        from->untold++;
        from->untold_rows += ps_message_rows(out);
        from->untold_kib += out->size_kib;
        if (from->untold >= (from->ring->capacity + 1) / 2 ||
            from->untold_rows >= (from->ring->row_low + 1) / 2 ||
            from->untold_kib >= from->ring->kib_limit / 2) {
            tell(from);
        }
        *channel = index;
        return true;
    }
    return false;
}

void ps_inbox_announce(ps_inbox *inbox)
{
    for (int32_t i = 0; i < inbox->channel_count; i++) {
        tell(&inbox->channels[i]);
    }
}

void ps_inbox_size(const ps_inbox *inbox, ps_occupancy *out)
{
    *out = (ps_occupancy){0};
    for (int32_t i = 0; i < inbox->channel_count; i++) {
        ps_ring_add_to(inbox->channels[i].ring, out);
    }
}
