/* check.h -- assertions for the C tests: say where and what, then stop with exit code 1.
 *
 * Always on, whatever NDEBUG says, so a release build is tested as it is shipped.
 */
#ifndef PS_TESTS_CHECK_H
#define PS_TESTS_CHECK_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_FAIL(...)                                                                            \
    do {                                                                                           \
        fprintf(stderr, "%s:%d: in %s: ", __FILE__, __LINE__, __func__);                           \
        fprintf(stderr, __VA_ARGS__);                                                              \
        fputc('\n', stderr);                                                                       \
        exit(1);                                                                                   \
    } while (0)

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            CHECK_FAIL("%s is false", #cond);                                                      \
        }                                                                                          \
    } while (0)

/* For signed integers; both sides are shown. */
#define CHECK_EQ(got, want)                                                                        \
    do {                                                                                           \
        const int64_t check_got_ = (int64_t)(got), check_want_ = (int64_t)(want);                  \
        if (check_got_ != check_want_) {                                                           \
            CHECK_FAIL("%s is %" PRId64 ", not %s = %" PRId64, #got, check_got_, #want,            \
                       check_want_);                                                               \
        }                                                                                          \
    } while (0)

#define CHECK_STR(got, want)                                                                       \
    do {                                                                                           \
        const char *check_got_ = (got), *check_want_ = (want);                                     \
        if (strcmp(check_got_, check_want_) != 0) {                                                \
            CHECK_FAIL("%s is \"%s\", not \"%s\"", #got, check_got_, check_want_);                 \
        }                                                                                          \
    } while (0)

/* Success is 0 in every ps_status. */
#define CHECK_OK(status)                                                                           \
    do {                                                                                           \
        const int check_status_ = (int)(status);                                                   \
        if (check_status_ != 0) {                                                                  \
            CHECK_FAIL("%s is status %d", #status, check_status_);                                 \
        }                                                                                          \
    } while (0)

#define RUN(test)                                                                                  \
    do {                                                                                           \
        test();                                                                                    \
        printf("ok %s\n", #test);                                                                  \
        fflush(stdout);                                                                            \
    } while (0)

#endif
