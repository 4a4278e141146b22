/* thread_name.c -- see thread_name.h. */
#include "base/thread_name.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { ROLE_MAX = 8, FRAME = sizeof("ps--") - 1 };

/* The most bytes of text, up to `room`, that do not end within a character. */
static int cut(const char *text, size_t room)
{
    size_t length = strnlen(text, room + 1);
    if (length > room) {
        length = room;
        while (length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80) {
            length--;
        }
    }
    return (int)length;
}

void ps_thread_name_make(const char *job, const char *role, char out[PS_THREAD_NAME_SIZE])
{
    const int role_length = cut(role, ROLE_MAX);
    const size_t room = PS_THREAD_NAME_SIZE - 1 - FRAME - (size_t)role_length;
    snprintf(out, PS_THREAD_NAME_SIZE, "ps-%.*s-%.*s", cut(job, room), job, role_length, role);
}

void ps_thread_set_name(const char *job, const char *role)
{
    char name[PS_THREAD_NAME_SIZE];
    ps_thread_name_make(job, role, name);
#if defined(__linux__)
    (void)pthread_setname_np(pthread_self(), name);
#elif defined(__APPLE__)
    (void)pthread_setname_np(name);
#endif
}
