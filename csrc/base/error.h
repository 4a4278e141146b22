/* error.h -- status codes and messages.
 *
 * A fallible function returns ps_status and takes an optional ps_error last. A message names the
 * thing, the value found and what was expected. Full, empty and late are answers, not errors.
 */
#ifndef PS_BASE_ERROR_H
#define PS_BASE_ERROR_H

#include "base/base.h"

typedef enum ps_status {
    PS_OK = 0,
    PS_INVALID = 1,     /* a wrong argument or value: the caller can mend it */
    PS_TYPE = 2,        /* a type that the operation does not take */
    PS_NO_MEMORY = 3,   /* the system has no more */
    PS_BUDGET = 4,      /* the job's own memory budget is used up */
    PS_OVERFLOW = 5,    /* an integer result does not fit its type */
    PS_UNSUPPORTED = 6, /* valid, but not built */
    PS_CORRUPT = 7,     /* bytes or buffers that contradict themselves */
    PS_CANCELLED = 8,   /* asked to stop */
    PS_SOURCE = 9,      /* an input stream reported an error of its own */
    PS_INTERNAL = 10,   /* a broken invariant: a bug in the core */
} ps_status;

#define PS_ERROR_TEXT 480

typedef struct ps_error {
    ps_status status;
    char operator_name[48]; /* operator in which it happened, or empty */
    char text[PS_ERROR_TEXT];
} ps_error;

/* Fills err (may be NULL) and returns status, so that callers write `return ps_fail(...)`. */
ps_status ps_fail(ps_error *err, ps_status status, const char *format, ...) PS_PRINTF(3, 4);
void ps_error_clear(ps_error *err);
/* Names the operator in an error that does not know its place yet. Answers the status. */
ps_status ps_error_place(ps_error *err, ps_status status, const char *operator_name);
PS_API const char *ps_status_name(ps_status status);

#define PS_TRY(expression)                                                                         \
    do {                                                                                           \
        const ps_status try_status_ = (expression);                                                \
        if (PS_UNLIKELY(try_status_ != PS_OK)) {                                                   \
            return try_status_;                                                                    \
        }                                                                                          \
    } while (0)

/* The same inside a function with one `fail:` label and a local `ps_status status`. */
#define PS_TRY_GOTO(expression)                                                                    \
    do {                                                                                           \
        status = (expression);                                                                     \
        if (PS_UNLIKELY(status != PS_OK)) {                                                        \
            goto fail;                                                                             \
        }                                                                                          \
    } while (0)

#endif
