/* error.c -- fills ps_error. Never allocates, so it works when memory has run out. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

ps_status ps_fail(ps_error *err, ps_status status, const char *format, ...)
{
    PS_ASSERT(status != PS_OK);
    if (err != NULL) {
        err->status = status;
        err->operator_name[0] = '\0';
        va_list arguments;
        va_start(arguments, format);
        const int written = vsnprintf(err->text, sizeof(err->text), format, arguments);
        va_end(arguments);
        if (written < 0) {
            err->text[0] = '\0';
        }
    }
    return status;
}

void ps_error_clear(ps_error *err)
{
    if (err != NULL) {
        err->status = PS_OK;
        err->operator_name[0] = '\0';
        err->text[0] = '\0';
    }
}

ps_status ps_error_place(ps_error *err, ps_status status, const char *operator_name)
{
    if (PS_UNLIKELY(status != PS_OK) && err != NULL && err->operator_name[0] == '\0') {
        snprintf(err->operator_name, sizeof(err->operator_name), "%s", operator_name);
    }
    return status;
}

const char *ps_status_name(ps_status status)
{
    switch (status) {
    case PS_OK: return "ok";
    case PS_INVALID: return "invalid";
    case PS_TYPE: return "type";
    case PS_NO_MEMORY: return "no memory";
    case PS_BUDGET: return "budget";
    case PS_OVERFLOW: return "overflow";
    case PS_UNSUPPORTED: return "unsupported";
    case PS_CORRUPT: return "corrupt";
    case PS_CANCELLED: return "cancelled";
    case PS_SOURCE: return "source";
    case PS_INTERNAL: return "internal";
    }
    return "unknown";
}
