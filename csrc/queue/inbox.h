/* inbox.h -- many producers, one consumer: a ring for each producer, polled fairly.
 *
 * A channel may be held: its ring is left alone until it is let go again (a barrier that waits for
 * the other channels, merge.h).
 * Producers that sleep on a full ring are woken when half of it was taken out, not for every slot;
 * before the consumer itself goes to sleep it calls announce, which wakes whoever has not been told
 * yet. So each pop is followed by a wake-up of its producer, sooner or later but always.
 * Used by the consumer's thread alone.
 */
#ifndef PS_QUEUE_INBOX_H
#define PS_QUEUE_INBOX_H

#include "queue/ring.h"

typedef struct ps_channel {
    ps_ring *ring;       /* borrowed */
    uint64_t untold;     /* pops since its producer was last woken, */
    int64_t untold_rows; /* and their rows, */
    int64_t untold_kib;  /* and the size of those */
    bool held;
} ps_channel;

typedef struct ps_inbox {
    ps_mem *mem;
    ps_channel *channels;
    int32_t channel_count;
    int32_t next; /* channel to look at first */
} ps_inbox;

/* Channels start without a ring; the caller sets channels[i].ring before the first pop. */
PS_MUST_CHECK ps_status ps_inbox_init(ps_inbox *inbox, ps_mem *mem, int32_t channel_count,
                                      ps_error *err);
/* The rings are not the inbox's. A zeroed inbox is allowed. */
void ps_inbox_fini(ps_inbox *inbox);

/* One message from the channels in turn, skipping held ones; false when none has any. */
bool ps_inbox_try_pop(ps_inbox *inbox, ps_message *out, int32_t *channel);
void ps_inbox_announce(ps_inbox *inbox);
/* Over all channels, for metrics: any thread. */
void ps_inbox_size(const ps_inbox *inbox, ps_occupancy *out);

#endif
