/* test_hot_keys.c -- heavy keys are found with their share, and none is made up. */
#include "check.h"
#include "random.h"
#include "state/hot_keys.h"

enum { CHUNK = 1000, ROOM = 8 };

static ps_hot_keys hot;
static uint32_t gids[ROOM];
static int64_t counts[ROOM];

/* Rows of which `percent` have key 7, the others one of `keys`; runs: those of key 7 at once. */
static void feed(int64_t rows, int64_t percent, int64_t keys, bool runs, rng *random)
{
    uint32_t chunk[CHUNK];
    for (int64_t done = 0; done < rows; done += CHUNK) {
        int64_t sevens = 0;
        for (int64_t i = 0; i < CHUNK; i++) {
            const bool seven = rng_below(random, 100) < percent;
            chunk[i] = seven ? 7 : (uint32_t)rng_below(random, keys) + 8;
            sevens += seven;
            if (runs && !seven) {
                ps_hot_keys_add_rows(&hot, chunk[i], 1);
            }
        }
        if (runs) {
            ps_hot_keys_add_rows(&hot, 7, sevens);
        } else {
            ps_hot_keys_add(&hot, chunk, CHUNK);
        }
    }
}

static void a_heavy_key_has_its_share(void)
{
    rng random = {1};
    for (int runs = 0; runs < 2; runs++) {
        for (int64_t percent = 10; percent <= 90; percent += 40) {
            hot = (ps_hot_keys){0};
            feed(3000000, percent, 100000, runs == 1, &random);
            CHECK_EQ(ps_hot_keys_top(&hot, 64, ROOM, gids, counts), 1);
            CHECK_EQ(gids[0], 7);
            const double share = 100.0 * (double)counts[0] / (double)hot.samples;
            CHECK(share > (double)percent - 4 && share < (double)percent + 4);
        }
    }
}

static void even_keys_are_none(void)
{
    rng random = {2};
    hot = (ps_hot_keys){0};
    feed(3000000, 0, 1000, false, &random);
    CHECK_EQ(ps_hot_keys_top(&hot, 64, ROOM, gids, counts), 0);
}

/* Runs and chunks of the same rows are sampled at the same rows. */
static void samples_do_not_depend_on_cuts(void)
{
    rng random = {3};
    static ps_hot_keys one;
    hot = one = (ps_hot_keys){0};
    int64_t rows = 0;
    for (int i = 0; i < 3000; i++) {
        uint32_t run[400];
        const uint32_t gid = (uint32_t)rng_below(&random, 5);
        const int64_t length = rng_below(&random, 400);
        for (int64_t r = 0; r < length; r++) {
            run[r] = gid;
        }
        ps_hot_keys_add(&one, run, length);
        ps_hot_keys_add_rows(&hot, gid, length);
        rows += length;
        CHECK_EQ(one.phase, hot.phase);
        CHECK_EQ(one.samples, hot.samples);
        CHECK_EQ(hot.fresh, (rows + PS_HOT_STEP - 1) / PS_HOT_STEP);
    }
    CHECK_EQ(memcmp(one.counts, hot.counts, sizeof one.counts), 0);
}

static void the_past_fades(void)
{
    rng random = {4};
    hot = (ps_hot_keys){0};
    feed(2000000, 90, 100000, false, &random);
    feed(12000000, 0, 100000, false, &random);
    CHECK_EQ(ps_hot_keys_top(&hot, 20, ROOM, gids, counts), 0);
    CHECK(hot.samples < PS_HOT_SAMPLES);
}

static void the_first_come_first(void)
{
    hot = (ps_hot_keys){0};
    for (uint32_t k = 0; k < 20; k++) {
        ps_hot_keys_add_rows(&hot, k, (int64_t)PS_HOT_STEP * (k * 7 % 20 + 1));
    }
    CHECK_EQ(ps_hot_keys_top(&hot, 1000, ROOM, gids, counts), ROOM);
    for (int32_t i = 0; i < ROOM; i++) {
        CHECK_EQ(counts[i], 20 - i);
        CHECK_EQ(gids[i] * 7 % 20 + 1, (uint32_t)counts[i]);
    }
    uint8_t live[20] = {0};
    live[gids[3]] = live[gids[5]] = 1;
    const uint32_t third = gids[3], fifth = gids[5];
    ps_hot_keys_sweep(&hot, 0, 10, live);
    ps_hot_keys_sweep(&hot, 10, 10, live + 10);
    CHECK_EQ(ps_hot_keys_top(&hot, 1000, ROOM, gids, counts), 2);
    CHECK(gids[0] == third && gids[1] == fifth && counts[0] == 17 && counts[1] == 15);
}

int main(void)
{
    RUN(a_heavy_key_has_its_share);
    RUN(even_keys_are_none);
    RUN(samples_do_not_depend_on_cuts);
    RUN(the_past_fades);
    RUN(the_first_come_first);
    return 0;
}
