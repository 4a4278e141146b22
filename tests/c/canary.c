/* canary.c -- does on purpose what each harness must catch; CTest expects every run of it to fail.
 *
 *     canary check|address|leak|undefined|thread
 */
#include <limits.h>
#include <pthread.h>

#include "check.h"

static int shared;

static void *race(void *unused)
{
    (void)unused;
    for (int i = 0; i < 100000; i++) {
        shared++;
    }
    return NULL;
}

static void race_of_two_threads(void)
{
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        CHECK_OK(pthread_create(&threads[i], NULL, race, NULL));
    }
    for (int i = 0; i < 2; i++) {
        CHECK_OK(pthread_join(threads[i], NULL));
    }
}

static void read_past_the_end(void)
{
    volatile char *bytes = malloc(8);
    volatile int past = 8; /* the compiler must not see it */
    CHECK(bytes != NULL);
    shared = bytes[past];
    free((void *)(uintptr_t)bytes);
}

static void forget_memory(void)
{
    volatile char *volatile bytes = malloc(8);
    CHECK(bytes != NULL);
    bytes = NULL;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "check") == 0) {
        CHECK(argc == 0);
    } else if (strcmp(what, "address") == 0) {
        read_past_the_end();
    } else if (strcmp(what, "leak") == 0) {
        forget_memory();
    } else if (strcmp(what, "undefined") == 0) {
        volatile int most = INT_MAX;
        shared = most + argc;
    } else if (strcmp(what, "thread") == 0) {
        race_of_two_threads();
    }
    return 0;
}
