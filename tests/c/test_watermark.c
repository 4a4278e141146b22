/* test_watermark.c -- the scan's verdict against the row-by-row definition. */
#include "window/watermark.h"

#include "check.h"
#include "random.h"

#define ROWS 3000

/* The definition, in wide integers: behind = below (largest before - bound). */
static bool behind(const int64_t *times, int64_t row, int64_t bound)
{
    __extension__ typedef __int128 wide;
    for (int64_t i = 0; i < row; i++) {
        if ((wide)times[row] < (wide)times[i] - bound) {
            return true;
        }
    }
    return false;
}

static void compare(const int64_t *times, int64_t count, int64_t bound, int64_t cut)
{
    ps_watermark scanned = {.largest = PS_TIME_MIN, .bound = bound}, traced = scanned;
    int64_t before[ROWS];
    for (int64_t at = 0; at < count; at += cut) {
        const int64_t rows = ps_min_i64(cut, count - at);
        int64_t least = 0, most = 0, want_least = INT64_MAX, want_most = INT64_MIN;
        bool want = true;
        const bool in_order = ps_watermark_scan(&scanned, times + at, rows, &least, &most);
        ps_watermark_trace(&traced, times + at, rows, before);
        for (int64_t i = 0; i < rows; i++) {
            const bool late = behind(times, at + i, bound);
            want = want && !late;
            CHECK_EQ(times[at + i] < before[i], late);
            want_least = ps_min_i64(want_least, times[at + i]);
            want_most = ps_max_i64(want_most, times[at + i]);
        }
        CHECK_EQ(in_order, want);
        CHECK_EQ(least, want_least);
        CHECK_EQ(most, want_most);
        CHECK_EQ(scanned.largest, traced.largest);
        CHECK_EQ(ps_watermark_value(&scanned), ps_watermark_value(&traced));
    }
}

static void scan_agrees_with_the_trace(void)
{
    rng random = {7};
    int64_t times[300];
    for (int round = 0; round < 3000; round++) {
        const int64_t count = rng_between(&random, 1, 300);
        const int64_t disorder = rng_below(&random, 40), step = rng_below(&random, 5);
        for (int64_t i = 0; i < count; i++) {
            times[i] = i * step - rng_below(&random, disorder + 1);
        }
        compare(times, count, rng_below(&random, 45), rng_between(&random, 1, 200));
    }
}

static void one_row_behind_is_seen_wherever_it_stands(void)
{
    int64_t times[200];
    for (int64_t row = 1; row < 200; row++) {
        for (int64_t i = 0; i < 200; i++) {
            times[i] = i;
        }
        times[row] = row - 1 - 10; /* exactly at the watermark: not behind */
        ps_watermark mark = {.largest = PS_TIME_MIN, .bound = 10};
        int64_t least, most;
        CHECK(ps_watermark_scan(&mark, times, 200, &least, &most));
        times[row]--;
        mark.largest = PS_TIME_MIN;
        CHECK(!ps_watermark_scan(&mark, times, 200, &least, &most));
        CHECK_EQ(mark.largest, row == 199 ? 198 : 199);
    }
}

static void the_ends_of_time_do_not_wrap(void)
{
    const int64_t low[] = {INT64_MIN + 3, INT64_MIN + 1, INT64_MIN, INT64_MIN + 9};
    const int64_t both[] = {INT64_MIN, INT64_MAX, 0, INT64_MIN + 1};
    for (int64_t cut = 1; cut <= 4; cut++) {
        compare(low, 4, 1, cut);
        compare(low, 4, INT64_C(1) << 60, cut);
        compare(both, 4, 0, cut);
        compare(both, 4, INT64_C(1) << 60, cut);
    }
}

/* The guard's definition, row by row, with nothing saturated: times are small. */
static void guard_row(ps_watermark *want, int64_t time)
{
    if (want->largest != PS_TIME_MIN && time <= want->largest + want->max_future) {
        want->largest = ps_max_i64(want->largest, time);
        want->ahead_count -= want->ahead_count > 0;
        return;
    }
    want->future_rows += want->largest == PS_TIME_MIN ? 0 : 1;
    if (want->ahead_count == 0 || time < want->ahead_low) {
        want->ahead_low = time;
    }
    if (++want->ahead_count == 16) {
        want->largest = want->ahead_low;
        want->ahead_count = 0;
    }
}

static void compare_guarded(const int64_t *times, int64_t count, ps_watermark start, int64_t cut)
{
    ps_watermark scanned = start, traced = start, want = start;
    int64_t before[ROWS];
    for (int64_t at = 0; at < count; at += cut) {
        const int64_t rows = ps_min_i64(cut, count - at);
        int64_t least, most;
        bool behind_none = true;
        const bool in_order = ps_watermark_scan(&scanned, times + at, rows, &least, &most);
        ps_watermark_trace(&traced, times + at, rows, before);
        for (int64_t i = 0; i < rows; i++) {
            CHECK_EQ(before[i], ps_watermark_value(&want));
            behind_none = behind_none && times[at + i] >= ps_watermark_value(&want);
            guard_row(&want, times[at + i]);
        }
        CHECK_EQ(in_order, behind_none);
        const ps_watermark *const found[] = {&scanned, &traced};
        for (int32_t i = 0; i < 2; i++) {
            CHECK_EQ(found[i]->largest, want.largest);
            CHECK_EQ(found[i]->ahead_count, want.ahead_count);
            CHECK_EQ(found[i]->future_rows, want.future_rows);
            CHECK(want.ahead_count == 0 || found[i]->ahead_low == want.ahead_low);
        }
    }
}

static void the_guard_agrees_with_its_definition(void)
{
    rng random = {11};
    int64_t times[600];
    for (int round = 0; round < 4000; round++) {
        const int64_t count = rng_between(&random, 1, 600);
        const int64_t absurd = rng_below(&random, 30), gap_at = rng_below(&random, 600);
        for (int64_t i = 0; i < count; i++) {
            times[i] = i - rng_below(&random, 8) + (i >= gap_at ? 1000 : 0);
            if (rng_below(&random, 100) < absurd) {
                times[i] += rng_below(&random, 5000);
            }
        }
        const ps_watermark start = {.largest = PS_TIME_MIN,
                                    .bound = rng_below(&random, 10),
                                    .max_future = rng_between(&random, 1, 300)};
        compare_guarded(times, count, start, rng_between(&random, 1, 200));
    }
}

static void time_that_passes_is_believed_after_a_quorum(void)
{
    ps_watermark mark = {.largest = 100, .bound = 0, .max_future = 10};
    int64_t least, most;
    const int64_t absurd = 1000000, near = 105, later = 500;
    CHECK(ps_watermark_scan(&mark, &absurd, 1, &least, &most));
    CHECK_EQ(mark.largest, 100);
    CHECK(ps_watermark_scan(&mark, &near, 1, &least, &most)); /* withdraws the absurd row's vote */
    for (int32_t i = 0; i < PS_FUTURE_QUORUM; i++) {
        CHECK_EQ(mark.largest, 105);
        CHECK(ps_watermark_scan(&mark, &later, 1, &least, &most));
    }
    CHECK_EQ(mark.largest, 500);
    CHECK_EQ(mark.future_rows, 1 + PS_FUTURE_QUORUM);
    mark.largest = INT64_MAX - 5; /* nothing can be ahead */
    const int64_t last = INT64_MAX;
    CHECK(ps_watermark_scan(&mark, &last, 1, &least, &most));
    CHECK_EQ(mark.largest, INT64_MAX);
}

static void nothing_read_means_no_watermark(void)
{
    ps_watermark mark = {.largest = PS_TIME_MIN, .bound = 5};
    int64_t least = 0, most = 0;
    CHECK_EQ(ps_watermark_value(&mark), PS_TIME_MIN);
    CHECK(ps_watermark_scan(&mark, NULL, 0, &least, &most));
    CHECK_EQ(ps_watermark_value(&mark), PS_TIME_MIN);
    const int64_t time = -100;
    CHECK(ps_watermark_scan(&mark, &time, 1, &least, &most));
    CHECK_EQ(ps_watermark_value(&mark), -105);
}

int main(void)
{
    RUN(scan_agrees_with_the_trace);
    RUN(one_row_behind_is_seen_wherever_it_stands);
    RUN(the_ends_of_time_do_not_wrap);
    RUN(the_guard_agrees_with_its_definition);
    RUN(time_that_passes_is_believed_after_a_quorum);
    RUN(nothing_read_means_no_watermark);
    return 0;
}
