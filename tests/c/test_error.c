/* test_error.c -- messages are formatted, cut to fit, and optional. */
#include "base/error.h"
#include "check.h"

static void fail_fills_the_error_and_answers_the_status(void)
{
    ps_error err = {.operator_name = "filter", .text = "old"};
    CHECK_EQ(ps_fail(&err, PS_TYPE, "column %s is %d", "price", 7), PS_TYPE);
    CHECK_EQ(err.status, PS_TYPE);
    CHECK_STR(err.text, "column price is 7");
    CHECK_STR(err.operator_name, "");
}

static void the_first_place_counts(void)
{
    ps_error err;
    CHECK_OK(ps_error_place(NULL, PS_OK, "filter"));
    CHECK_EQ(ps_error_place(NULL, PS_TYPE, "filter"), PS_TYPE);
    CHECK_EQ(ps_error_place(&err, ps_fail(&err, PS_TYPE, "bad"), "filter"), PS_TYPE);
    CHECK_EQ(ps_error_place(&err, PS_TYPE, "aggregate"), PS_TYPE);
    CHECK_STR(err.operator_name, "filter");
}

static void a_long_text_is_cut(void)
{
    char text[2 * PS_ERROR_TEXT];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    ps_error err;
    CHECK_EQ(ps_fail(&err, PS_INVALID, "%s", text), PS_INVALID);
    CHECK_EQ(strlen(err.text), PS_ERROR_TEXT - 1);
}

static void nobody_has_to_listen(void)
{
    CHECK_EQ(ps_fail(NULL, PS_BUDGET, "%d", 1), PS_BUDGET);
    ps_error_clear(NULL);
}

static void clear_empties(void)
{
    ps_error err;
    CHECK_EQ(ps_fail(&err, PS_CORRUPT, "bad"), PS_CORRUPT);
    ps_error_clear(&err);
    CHECK_OK(err.status);
    CHECK_STR(err.text, "");
}

static void every_status_has_its_own_name(void)
{
    for (int status = PS_OK; status <= PS_INTERNAL; status++) {
        CHECK(strcmp(ps_status_name((ps_status)status), "unknown") != 0);
        for (int other = PS_OK; other < status; other++) {
            CHECK(strcmp(ps_status_name((ps_status)status), ps_status_name((ps_status)other)) != 0);
        }
    }
    CHECK_STR(ps_status_name((ps_status)(PS_INTERNAL + 1)), "unknown");
}

int main(void)
{
    RUN(fail_fills_the_error_and_answers_the_status);
    RUN(the_first_place_counts);
    RUN(a_long_text_is_cut);
    RUN(nobody_has_to_listen);
    RUN(clear_empties);
    RUN(every_status_has_its_own_name);
    return 0;
}
