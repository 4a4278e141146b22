/* test_edges.c -- windows by formula against windows by enumeration. */
#include "window/edges.h"

#include "check.h"

static void every_time_is_in_its_windows(void)
{
    for (int64_t slide = 1; slide <= 7; slide++) {
        for (int64_t size = slide; size <= 20; size++) {
            for (int64_t offset = -5; offset <= 5; offset++) {
                const ps_window window = {
                    .kind = PS_WINDOW_HOPPING, .size = size, .slide = slide, .offset = offset};
                ps_edges e;
                CHECK_OK(ps_edges_init(&e, &window, NULL));
                for (int64_t t = -40; t <= 40; t++) {
                    int64_t first = INT64_MAX, last = INT64_MIN;
                    for (int64_t w = -90; w <= 90; w++) {
                        if (ps_edges_window_start(&e, w) <= t && t < ps_edges_window_end(&e, w)) {
                            first = w < first ? w : first;
                            last = w > last ? w : last;
                        }
                    }
                    const int64_t slice = ps_edges_slice(&e, t);
                    CHECK_EQ(ps_edges_first_window(&e, slice), first);
                    CHECK_EQ(ps_edges_last_window(&e, slice), last);
                    CHECK(ps_edges_slice_start(&e, slice) <= t);
                    CHECK(ps_edges_slice_start(&e, slice + 1) > t);
                    CHECK(first * e.per_slide + e.slices_per_window > slice);
                    CHECK(last * e.per_slide <= slice);
                }
            }
        }
    }
}

static void refused(int64_t size, int64_t slide, const char *word)
{
    const ps_window window = {.kind = PS_WINDOW_HOPPING, .size = size, .slide = slide};
    ps_edges e;
    ps_error err;
    CHECK_EQ(ps_edges_init(&e, &window, &err), PS_INVALID);
    CHECK(strstr(err.text, word) != NULL);
}

static void bad_windows_are_named(void)
{
    refused(0, 1, "size");
    refused(-3, 1, "-3");
    refused(5, 0, "slide");
    refused(5, -2, "-2");
    refused(5, 6, "exceed");
    refused(INT64_MAX, 1, "out of range");
}

int main(void)
{
    RUN(every_time_is_in_its_windows);
    RUN(bad_windows_are_named);
    return 0;
}
