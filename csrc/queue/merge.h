/* merge.h -- several ordered channels as one: what their watermarks, barriers and ends mean
 * together.
 *
 *     watermark   the least of all channels that are not idle, passed on only when it grew: it
 *                 never goes back, also when a channel wakes behind it, and stays when all are idle
 *     idle        when every channel that still lives is; awake when one of them is
 *     barrier     passed on when every channel has delivered it; until then the channel is held,
 *                 that is, it must not be read (nothing behind a barrier may overtake it elsewhere)
 *     end         when every channel has ended; an ended channel has the watermark PS_TIME_MAX and
 *                 has delivered every barrier
 *
 * Holds no messages; batches do not concern it. One thread.
 */
#ifndef PS_QUEUE_MERGE_H
#define PS_QUEUE_MERGE_H

#include "queue/message.h"

#define PS_MERGE_OUT_MAX 4 /* messages that one message can set free */

typedef struct ps_merge_channel {
    int64_t watermark;
    bool at_barrier;
    bool ended;
    bool idle;
} ps_merge_channel;

typedef struct ps_merge {
    ps_mem *mem;
    ps_merge_channel *channels;
    int32_t channel_count;
    int32_t barrier_count; /* channels at the barrier, not ended */
    int32_t ended_count;
    int64_t watermark; /* last one passed on */
    bool idle;         /* last told */
    int64_t epoch;     /* of the barrier being gathered */
} ps_merge;

PS_MUST_CHECK ps_status ps_merge_init(ps_merge *merge, ps_mem *mem, int32_t channel_count,
                                      ps_error *err);
/* A zeroed merge is allowed. */
void ps_merge_fini(ps_merge *merge);
/* A watermark, idleness, barrier or end came on `channel`: fills out[] with what follows for the
 * whole, in order, and returns their number. */
int32_t ps_merge_apply(ps_merge *merge, int32_t channel, const ps_message *message,
                       ps_message out[PS_MERGE_OUT_MAX]);
static inline bool ps_merge_held(const ps_merge *merge, int32_t channel)
{
    return merge->channels[channel].at_barrier;
}

#endif
