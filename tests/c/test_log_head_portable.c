/* test_log_head_portable.c -- the tests of log_head for the implementation without futex. */
#define PS_LOG_HEAD_PORTABLE
#define ps_log_head_bytes portable_head_bytes
#define ps_log_head_start portable_head_start
#define ps_log_head_map portable_head_map
#define ps_log_head_unmap portable_head_unmap
#define ps_log_head_end portable_head_end
#define ps_log_head_tail portable_head_tail
#define ps_log_head_publish portable_head_publish
#define ps_log_head_wait portable_head_wait
#include "queue/log_head.c"
#include "test_log_head.c"
