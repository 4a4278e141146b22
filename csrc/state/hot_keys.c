/* hot_keys.c -- see hot_keys.h. */
#include "state/hot_keys.h"

static void halve(ps_hot_keys *hot)
{
    hot->samples /= 2;
    for (int32_t i = 0; i < hot->used; i++) {
        hot->counts[i] /= 2;
        hot->errors[i] /= 2;
    }
}

/* The counter of a key: its own, a free one, or the smallest. */
static int32_t counter_of(ps_hot_keys *hot, uint32_t gid)
{
    int32_t found = -1;
    for (int32_t i = 0; i < hot->used; i++) {
        found = hot->gids[i] == gid ? i : found;
    }
    if (found >= 0) {
        return found;
    }
    int32_t least = hot->used;
    if (hot->used < PS_HOT_COUNTERS) {
        hot->counts[hot->used++] = 0;
    } else {
        least = 0;
        for (int32_t i = 1; i < PS_HOT_COUNTERS; i++) {
            least = hot->counts[i] < hot->counts[least] ? i : least;
        }
    }
    hot->gids[least] = gid;
    hot->errors[least] = hot->counts[least];
    return least;
}

static void count(ps_hot_keys *hot, uint32_t gid, int64_t samples)
{
    hot->counts[counter_of(hot, gid)] += samples;
    hot->samples += samples;
    hot->fresh += samples;
    if (hot->samples >= PS_HOT_SAMPLES) {
        halve(hot);
    }
}

void ps_hot_keys_add(ps_hot_keys *hot, const uint32_t *gids, int64_t rows)
{
    int64_t i = hot->phase;
    for (; i < rows; i += PS_HOT_STEP) {
        count(hot, gids[i], 1);
    }
    hot->phase = i - rows;
}

void ps_hot_keys_add_rows(ps_hot_keys *hot, uint32_t gid, int64_t rows)
{
    if (rows <= hot->phase) {
        hot->phase -= rows;
        return;
    }
    const int64_t samples = (rows - hot->phase - 1) / PS_HOT_STEP + 1;
    hot->phase += samples * PS_HOT_STEP - rows;
    count(hot, gid, samples);
}

void ps_hot_keys_sweep(ps_hot_keys *hot, int64_t first, int64_t count, const uint8_t *live)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < hot->used; i++) {
        const int64_t place = hot->gids[i] - first;
        hot->gids[kept] = hot->gids[i];
        hot->counts[kept] = hot->counts[i];
        hot->errors[kept] = hot->errors[i];
        kept += place < 0 || place >= count || live[place] != 0;
    }
    hot->used = kept;
}

int32_t ps_hot_keys_top(const ps_hot_keys *hot, int64_t least, int32_t room, uint32_t *gids,
                        int64_t *counts)
{
    int32_t found = 0;
    for (int32_t i = 0; i < hot->used; i++) {
        const int64_t sure = hot->counts[i] - hot->errors[i];
        if (sure <= 0 || sure * least < hot->samples) {
            continue;
        }
        int32_t at = found < room ? found : room;
        while (at > 0 && counts[at - 1] < sure) {
            if (at < room) {
                gids[at] = gids[at - 1];
                counts[at] = counts[at - 1];
            }
            at--;
        }
        if (at < room) {
            gids[at] = hot->gids[i];
            counts[at] = sure;
            found += found < room;
        }
    }
    return found;
}
