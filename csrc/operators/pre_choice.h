/* pre_choice.h -- which rows of an exchange are worth adding up before they travel.
 *
 * Adding up gives work of the shards to the sender. Few keys of rows that would be copied for
 * their shards: that is less work in all, and hardly more for the sender. Rows that travel
 * uncopied, and a hot key among many others, are for a shard that is behind (its ring has as many
 * rows as keep it busy): then the sender has time. A sample of key hashes, one row of 61, tells
 * which it is:
 *
 *   few keys for the rows of a batch      ALL    every row; uncopied ones while a shard is behind
 *   else, some keys weigh on their shard  HOT    the rows of those keys, by hash, while their shard
 *                                                is behind; the others travel
 *   else                                  NONE
 *
 * ALL hashes nothing; its own partials tell when it has ceased to pay, and then it is not tried
 * again for twice as many samples as the last time. The choice changes no answer.
 * Invariants   I1  a key's rows in one batch are all chosen or none is (hashes are compared)
 * Source       number of keys behind a sample: Chao, "Nonparametric estimation of the number of
 *              classes in a population", 1984 (a lower bound).
 * Cost         a table of 40 KiB; some 0.2 ns a row for the sample, 1 ns for HOT. The sender takes
 *              as long for a row it adds up as a shard does.
 */
#ifndef PS_OPERATORS_PRE_CHOICE_H
#define PS_OPERATORS_PRE_CHOICE_H

#include "base/base.h"
#include "base/error.h"

typedef enum ps_pre_plan { PS_PRE_NONE = 0, PS_PRE_HOT, PS_PRE_ALL } ps_pre_plan;

typedef enum ps_pre_mode {
    PS_PRE_AUTO = 0, /* by the sample */
    PS_PRE_NEVER,
    PS_PRE_ALWAYS, /* ALL, for batches of any size */
    PS_PRE_HALF,   /* HOT, with every key whose hash is odd */
} ps_pre_mode;

enum {
    PS_PRE_SAMPLES = 1024,                    /* looked at together */
    PS_PRE_SAMPLE_SLOTS = 4 * PS_PRE_SAMPLES, /* a batch may bring as many once more, twice */
    PS_PRE_HOT_SLOTS = 256,
    PS_PRE_STEP = 61, /* rows a sample: prime, so that rows in a rhythm do not hide from it */
};

typedef struct ps_pre_choice {
    ps_pre_mode mode;
    ps_pre_plan plan; /* for a batch that comes while a shard is behind */
    int32_t target_count;
    bool *behind;                   /* by target */
    int32_t phase;                  /* rows until the next sample */
    int32_t sampled;                /* in the table */
    int32_t wait;                   /* tables until ALL may be tried again */
    int32_t penalty;                /* how long the next such wait is */
    uint64_t hot[PS_PRE_HOT_SLOTS]; /* hashes by their slot; 0: none */
    uint64_t hashes[PS_PRE_SAMPLE_SLOTS];
    uint16_t counts[PS_PRE_SAMPLE_SLOTS]; /* 0: free */
} ps_pre_choice;

/* PYSTREAM_PREAGGREGATE=auto, never, always or half (for tests); PS_INVALID names another value. */
PS_MUST_CHECK ps_status ps_pre_mode_wished(ps_pre_mode *mode, ps_error *err);

/* choice: zeroed. behind: a flag a target, kept by the caller and set before each plan. */
void ps_pre_choice_init(ps_pre_choice *choice, ps_pre_mode mode, bool *behind,
                        int32_t target_count);
/* For a batch of that many rows, about to come: decides when the sample is large enough. copied:
 * each shard would get a copy of its rows. */
ps_pre_plan ps_pre_choice_plan(ps_pre_choice *choice, int64_t rows, bool copied);
/* HOT: gives the rows of hot keys whose target is behind the target `hot`; returns their number. */
int64_t ps_pre_choice_mark(const ps_pre_choice *choice, const uint64_t *hashes, int64_t count,
                           uint16_t hot, uint16_t *targets);
/* Looks at some rows of a batch that is not ALL. */
void ps_pre_choice_sample(ps_pre_choice *choice, const uint64_t *hashes, int64_t count);
/* What became of a batch that was ALL. */
void ps_pre_choice_learn(ps_pre_choice *choice, int64_t rows, int64_t partials);

#endif
