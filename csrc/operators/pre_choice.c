/* pre_choice.c -- see pre_choice.h. */
#include "operators/pre_choice.h"

#include <string.h>

#include "base/env_choice.h"

enum {
    LEAST_ROWS = 4096,  /* of a batch: below it the batches of partials cost more than they save */
    WORTH = 16,         /* rows a partial */
    WEIGHT = 4,         /* a hot key has at least the rows of a shard, divided by that */
    PENALTY_MAX = 1024, /* tables */
};

static const char *const MODES[] = {
    [PS_PRE_AUTO] = "auto",
    [PS_PRE_NEVER] = "never",
    [PS_PRE_ALWAYS] = "always",
    [PS_PRE_HALF] = "half",
};

ps_status ps_pre_mode_wished(ps_pre_mode *mode, ps_error *err)
{
    int32_t choice = PS_PRE_AUTO;
    const ps_status status =
        ps_env_choice("PYSTREAM_PREAGGREGATE", MODES, PS_PRE_HALF + 1, &choice, err);
    *mode = (ps_pre_mode)choice;
    return status;
}

void ps_pre_choice_init(ps_pre_choice *choice, ps_pre_mode mode, bool *behind, int32_t target_count)
{
    choice->behind = behind;
    choice->target_count = target_count;
    choice->mode = mode;
    choice->penalty = 1;
    choice->plan = mode == PS_PRE_ALWAYS ? PS_PRE_ALL
                   : mode == PS_PRE_HALF ? PS_PRE_HOT
                                         : PS_PRE_NONE;
}

static uint32_t hot_slot(uint64_t hash)
{
    return (uint32_t)(hash >> 8) & (PS_PRE_HOT_SLOTS - 1);
}

int64_t ps_pre_choice_mark(const ps_pre_choice *choice, const uint64_t *hashes, int64_t count,
                           uint16_t hot, uint16_t *targets)
{
    int64_t found = 0;
    for (int64_t i = 0; i < count; i++) {
        const uint64_t hash = hashes[i];
        const bool is_hot = choice->mode == PS_PRE_HALF
                                ? (hash & 1) != 0
                                : choice->hot[hot_slot(hash)] == hash && choice->behind[targets[i]];
        targets[i] = is_hot ? hot : targets[i];
        found += is_hot;
    }
    return found;
}

/* ---- the sample ---- */

typedef struct findings {
    int64_t keys, once, twice; /* keys seen, and those seen once and twice */
    bool hot;
} findings;

static findings look(ps_pre_choice *choice)
{
    const int32_t weight = WEIGHT * choice->target_count;
    findings f = {0};
    uint16_t most[PS_PRE_HOT_SLOTS] = {0};
    memset(choice->hot, 0, sizeof choice->hot);
    for (int32_t i = 0; i < PS_PRE_SAMPLE_SLOTS; i++) {
        const uint16_t count = choice->counts[i];
        f.keys += count > 0;
        f.once += count == 1;
        f.twice += count == 2;
        const uint32_t slot = hot_slot(choice->hashes[i]);
        if (count * weight >= choice->sampled && count > most[slot]) {
            f.hot = true;
            most[slot] = count;
            choice->hot[slot] = choice->hashes[i];
        }
    }
    return f;
}

static void decide(ps_pre_choice *choice, int64_t batch_rows)
{
    const findings f = look(choice);
    const int64_t unseen = f.once * f.once / (2 * ps_max_i64(f.twice, 1));
    choice->wait -= choice->wait > 0;
    if (choice->wait == 0 && (f.keys + unseen) * WORTH <= batch_rows) {
        choice->plan = PS_PRE_ALL;
    } else {
        choice->plan = f.hot ? PS_PRE_HOT : PS_PRE_NONE;
    }
    choice->sampled = 0;
    memset(choice->counts, 0, sizeof choice->counts);
}

static void count_hash(ps_pre_choice *choice, uint64_t hash)
{
    uint32_t slot = (uint32_t)hash & (PS_PRE_SAMPLE_SLOTS - 1);
    while (choice->counts[slot] != 0 && choice->hashes[slot] != hash) {
        slot = (slot + 1) & (PS_PRE_SAMPLE_SLOTS - 1);
    }
    choice->hashes[slot] = hash;
    choice->counts[slot]++;
    choice->sampled++;
}

void ps_pre_choice_sample(ps_pre_choice *choice, const uint64_t *hashes, int64_t count)
{
    if (choice->mode != PS_PRE_AUTO) {
        return;
    }
    int64_t i = choice->phase;
    for (; i < count; i += PS_PRE_STEP) {
        count_hash(choice, hashes[i]);
    }
    choice->phase = (int32_t)(i - count);
}

ps_pre_plan ps_pre_choice_plan(ps_pre_choice *choice, int64_t rows, bool copied)
{
    if (choice->mode != PS_PRE_AUTO) {
        return choice->plan;
    }
    if (rows < LEAST_ROWS) {
        return PS_PRE_NONE;
    }
    if (choice->sampled >= PS_PRE_SAMPLES) {
        decide(choice, rows);
    }
    bool behind = choice->plan == PS_PRE_ALL && copied;
    for (int32_t i = 0; i < choice->target_count; i++) {
        behind |= choice->behind[i];
    }
    return behind ? choice->plan : PS_PRE_NONE;
}

void ps_pre_choice_learn(ps_pre_choice *choice, int64_t rows, int64_t partials)
{
    if (choice->mode != PS_PRE_AUTO) {
        return;
    }
    if (partials * WORTH <= rows) {
        choice->penalty = 1;
        return;
    }
    choice->plan = PS_PRE_NONE;
    choice->wait = choice->penalty;
    choice->penalty = 2 * choice->penalty < PENALTY_MAX ? 2 * choice->penalty : PENALTY_MAX;
}
