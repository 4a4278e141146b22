/* merge.c -- see merge.h. */
#include "queue/merge.h"

ps_status ps_merge_init(ps_merge *merge, ps_mem *mem, int32_t channel_count, ps_error *err)
{
    const size_t size_bytes = (size_t)channel_count * sizeof(ps_merge_channel);
    ps_merge_channel *const channels = ps_alloc_zeroed(mem, size_bytes);
    if (channels == NULL) {
        return ps_mem_refused(mem, size_bytes, "a merge of channels", err);
    }
    for (int32_t i = 0; i < channel_count; i++) {
        channels[i].watermark = PS_TIME_MIN;
    }
    *merge = (ps_merge){
        .mem = mem, .channels = channels, .channel_count = channel_count, .watermark = PS_TIME_MIN};
    return PS_OK;
}

void ps_merge_fini(ps_merge *merge)
{
    if (merge->channels != NULL) {
        ps_free(merge->mem, merge->channels,
                (size_t)merge->channel_count * sizeof(ps_merge_channel));
        merge->channels = NULL;
    }
}

/* What the channels' watermarks and idleness mean for the whole, as far as it is news. */
static int32_t advance(ps_merge *merge, ps_message *out)
{
    int64_t least = PS_TIME_MAX;
    int32_t live_count = 0;
    int32_t awake_count = 0;
    for (int32_t i = 0; i < merge->channel_count; i++) {
        const ps_merge_channel *const channel = &merge->channels[i];
        if (channel->watermark == PS_TIME_MAX) {
            continue; /* no row comes from it any more */
        }
        live_count++;
        if (!channel->idle) {
            awake_count++;
            least = ps_min_i64(least, channel->watermark);
        }
    }
    int32_t count = 0;
    const bool idle = live_count > 0 && awake_count == 0;
    if (idle != merge->idle) {
        merge->idle = idle;
        out[count++] = (ps_message){.kind = PS_MESSAGE_IDLE, .value = idle};
    }
    if (!idle && least > merge->watermark) {
        merge->watermark = least;
        out[count++] = (ps_message){.kind = PS_MESSAGE_WATERMARK, .value = least};
    }
    return count;
}

/* The barrier, once every channel that still lives has delivered it. */
static int32_t gather(ps_merge *merge, ps_message *out)
{
    if (merge->barrier_count == 0 ||
        merge->barrier_count + merge->ended_count < merge->channel_count) {
        return 0;
    }
    for (int32_t i = 0; i < merge->channel_count; i++) {
        merge->channels[i].at_barrier = false;
    }
    merge->barrier_count = 0;
    *out = (ps_message){.kind = PS_MESSAGE_BARRIER, .value = merge->epoch};
    return 1;
}

int32_t ps_merge_apply(ps_merge *merge, int32_t channel, const ps_message *message,
                       ps_message out[PS_MERGE_OUT_MAX])
{
    PS_ASSERT(channel >= 0 && channel < merge->channel_count);
    ps_merge_channel *const from = &merge->channels[channel];
    PS_ASSERT(!from->ended && !from->at_barrier);
    switch (message->kind) {
    case PS_MESSAGE_WATERMARK:
        from->watermark = ps_max_i64(from->watermark, message->value);
        return advance(merge, out);
    case PS_MESSAGE_IDLE: from->idle = message->value != 0; return advance(merge, out);
    case PS_MESSAGE_BARRIER:
        PS_ASSERT(merge->barrier_count == 0 || merge->epoch == message->value);
        merge->epoch = message->value;
        merge->barrier_count++;
        from->at_barrier = true;
        return gather(merge, out);
    case PS_MESSAGE_END: {
        from->watermark = PS_TIME_MAX;
        from->ended = true;
        merge->ended_count++;
        int32_t count = advance(merge, out);
        count += gather(merge, out + count);
        if (merge->ended_count == merge->channel_count) {
            out[count] = (ps_message){.kind = PS_MESSAGE_END};
            count++;
        }
        return count;
    }
    case PS_MESSAGE_NONE:
    case PS_MESSAGE_BATCH: break;
    }
    PS_CHECK(false); /* batches are not merged */
    return 0;
}
