/* test_park_portable.c -- the tests of park for the implementation without futex. */
#define PS_PARK_PORTABLE
#define ps_park_init portable_park_init
#define ps_park_fini portable_park_fini
#define ps_park_wait portable_park_wait
#define ps_park_wake portable_park_wake
#define now_ns portable_now_ns
#include "queue/park.c"
#undef now_ns
#include "test_park.c"
