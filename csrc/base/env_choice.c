/* env_choice.c -- see env_choice.h. */
#include "base/env_choice.h"

#include <stdio.h>
#include <string.h>

enum { LIST_BYTES = 160, FOUND_SHOWN = 60 };

/* "a, b or c" */
static void list_words(const char *const *words, int32_t count, char *list)
{
    size_t used = 0;
    list[0] = '\0';
    for (int32_t i = 0; i < count && used < LIST_BYTES; i++) {
        const char *const between = i == 0 ? "" : i == count - 1 ? " or " : ", ";
        used += (size_t)snprintf(list + used, LIST_BYTES - used, "%s%s", between, words[i]);
    }
}

ps_status ps_env_choice(const char *variable, const char *const *words, int32_t count,
                        int32_t *choice, ps_error *err)
{
    const char *const found = getenv(variable);
    if (found == NULL || found[0] == '\0') {
        return PS_OK;
    }
    for (int32_t i = 0; i < count; i++) {
        if (strcmp(found, words[i]) == 0) {
            *choice = i;
            return PS_OK;
        }
    }
    char list[LIST_BYTES];
    list_words(words, count, list);
    return ps_fail(err, PS_INVALID, "%s is '%.*s', must be %s", variable, FOUND_SHOWN, found, list);
}
