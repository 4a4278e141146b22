/* test_pre_choice.c -- what the sample finds, and what is done about it. */
#include <stdlib.h>

#include "base/hash.h"
#include "check.h"
#include "operators/pre_choice.h"
#include "random.h"

enum { BATCH = 65536, CHUNK = 1024, TARGETS = 2, HOT = TARGETS };

static ps_pre_choice choice;
static bool behind[TARGETS];

/* One batch: `percent` of the rows have key 0, the others are spread over `keys`. */
static void sample(int64_t keys, int64_t percent, rng *random)
{
    uint64_t hashes[CHUNK];
    for (int64_t start = 0; start < BATCH; start += CHUNK) {
        for (int64_t i = 0; i < CHUNK; i++) {
            const bool hot = rng_below(random, 100) < percent;
            hashes[i] = ps_hash_u64(hot ? 0 : (uint64_t)rng_below(random, keys) + 1);
        }
        ps_pre_choice_sample(&choice, hashes, CHUNK);
    }
}

static void begin(ps_pre_mode mode, bool first_is_behind)
{
    choice = (ps_pre_choice){0};
    behind[0] = first_is_behind;
    behind[1] = false;
    ps_pre_choice_init(&choice, mode, behind, TARGETS);
}

static void few_keys_are_all_added_up(void)
{
    rng random = {1};
    for (int64_t keys = 1; keys <= 1000; keys *= 10) {
        begin(PS_PRE_AUTO, false);
        CHECK_EQ(ps_pre_choice_plan(&choice, BATCH, true), PS_PRE_NONE); /* nothing known */
        sample(keys, 0, &random);
        CHECK_EQ(ps_pre_choice_plan(&choice, 1000, true), PS_PRE_NONE); /* a small batch */
        CHECK_EQ(ps_pre_choice_plan(&choice, BATCH, true), PS_PRE_ALL);
    }
}

/* Those that are not copied only while a shard is behind. */
static void few_keys_of_uncopied_rows(void)
{
    rng random = {6};
    begin(PS_PRE_AUTO, false);
    sample(100, 0, &random);
    CHECK_EQ(ps_pre_choice_plan(&choice, BATCH, false), PS_PRE_NONE);
    behind[1] = true;
    CHECK_EQ(ps_pre_choice_plan(&choice, BATCH, false), PS_PRE_ALL);
    behind[1] = false;
    CHECK_EQ(ps_pre_choice_plan(&choice, BATCH, false), PS_PRE_NONE);
    CHECK_EQ(ps_pre_choice_plan(&choice, BATCH, true), PS_PRE_ALL);
}

static void many_keys_travel(void)
{
    rng random = {2};
    for (int64_t keys = 30000; keys <= 3000000; keys *= 10) {
        begin(PS_PRE_AUTO, true);
        for (int i = 0; i < 10; i++) {
            sample(keys, 0, &random);
            CHECK_EQ(ps_pre_choice_plan(&choice, BATCH, true), PS_PRE_NONE);
        }
    }
}

/* Only for a shard that is behind, and only the rows of the key. */
static void a_hot_key_is_told_from_the_others(void)
{
    rng random = {3};
    uint64_t hashes[2] = {ps_hash_u64(0), ps_hash_u64(1)};
    begin(PS_PRE_AUTO, false);
    sample(1000000, 50, &random);
    CHECK_EQ(ps_pre_choice_plan(&choice, BATCH, true), PS_PRE_NONE);
    behind[0] = true;
    CHECK_EQ(ps_pre_choice_plan(&choice, BATCH, true), PS_PRE_HOT);
    uint16_t targets[2] = {0, 0};
    CHECK_EQ(ps_pre_choice_mark(&choice, hashes, 2, HOT, targets), 1);
    CHECK(targets[0] == HOT && targets[1] == 0);
    uint16_t others[2] = {1, 1};
    CHECK_EQ(ps_pre_choice_mark(&choice, hashes, 2, HOT, others), 0);
    CHECK(others[0] == 1 && others[1] == 1);
    sample(1000000, 5, &random); /* of two shards that is no weight */
    CHECK_EQ(ps_pre_choice_plan(&choice, BATCH, true), PS_PRE_NONE);
}

static void what_does_not_pay_is_tried_less_and_less(void)
{
    rng random = {4};
    int64_t tries = 0;
    begin(PS_PRE_AUTO, false);
    for (int i = 0; i < 1000; i++) {
        if (ps_pre_choice_plan(&choice, BATCH, true) == PS_PRE_ALL) {
            tries++;
            ps_pre_choice_learn(&choice, BATCH, BATCH / 2);
        } else {
            sample(100, 0, &random);
        }
    }
    CHECK(tries >= 5 && tries <= 12);
    begin(PS_PRE_AUTO, false);
    sample(100, 0, &random);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(ps_pre_choice_plan(&choice, BATCH, true), PS_PRE_ALL);
        ps_pre_choice_learn(&choice, BATCH, 100);
    }
}

static void a_wish_is_a_wish(void)
{
    rng random = {5};
    ps_error err = {0};
    ps_pre_mode mode = PS_PRE_NEVER;
    static const char *const NAMES[] = {"", "auto", "never", "always", "half"};
    static const ps_pre_mode MODES[] = {PS_PRE_AUTO, PS_PRE_AUTO, PS_PRE_NEVER, PS_PRE_ALWAYS,
                                        PS_PRE_HALF};
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(setenv("PYSTREAM_PREAGGREGATE", NAMES[i], 1), 0);
        CHECK_OK(ps_pre_mode_wished(&mode, NULL));
        CHECK_EQ(mode, MODES[i]);
    }
    CHECK_EQ(setenv("PYSTREAM_PREAGGREGATE", "often", 1), 0);
    CHECK_EQ(ps_pre_mode_wished(&mode, &err), PS_INVALID);
    CHECK(strstr(err.text, "'often'") != NULL);
    CHECK_EQ(unsetenv("PYSTREAM_PREAGGREGATE"), 0);
    begin(PS_PRE_ALWAYS, false);
    sample(1000000, 0, &random);
    CHECK_EQ(ps_pre_choice_plan(&choice, 1, true), PS_PRE_ALL);
    ps_pre_choice_learn(&choice, 10, 10);
    CHECK_EQ(ps_pre_choice_plan(&choice, 1, true), PS_PRE_ALL);
    begin(PS_PRE_HALF, false);
    CHECK_EQ(ps_pre_choice_plan(&choice, 1, true), PS_PRE_HOT);
    const uint64_t hashes[3] = {2, 3, 5};
    uint16_t targets[3] = {0, 1, 1};
    CHECK_EQ(ps_pre_choice_mark(&choice, hashes, 3, HOT, targets), 2);
    CHECK(targets[0] == 0 && targets[1] == HOT && targets[2] == HOT);
}

int main(void)
{
    RUN(few_keys_are_all_added_up);
    RUN(few_keys_of_uncopied_rows);
    RUN(many_keys_travel);
    RUN(a_hot_key_is_told_from_the_others);
    RUN(what_does_not_pay_is_tried_less_and_less);
    RUN(a_wish_is_a_wish);
    return 0;
}
