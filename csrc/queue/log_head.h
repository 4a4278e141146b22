/* log_head.h -- the page by which writers and readers of a log, in any process of the machine, tell
 * each other how far each partition goes, and on which readers sleep.
 *
 *     0     magic "PSHEAD01", u32 layout version, u32 partition count
 *     64    bell of the whole log
 *     128   partition 0: a line for readers (end, bell), a line for writers (the tail)
 *     256   partition 1, ...
 *
 * Callers      publish: who holds the partition's write lock. Everything else: anyone.
 * Invariants   I1  rows below `end` are in the files as whole frames before end is stored, so
 *                  readers need nothing but end: it only grows
 *              I2  the tail (active segment, its bytes) is what the next writer goes on from. It is
 *                  trusted only when its checksum holds, its end is the published one and it was
 *                  written since the machine started; otherwise the files are scanned
 * Orders       R1 release of end in publish  ->  A1 acquire of end in ps_log_head_end (the frames)
 * No lost      A sleeper counts itself, then looks at the bell inside the futex call; a publisher
 * wake-up      moves the bell, then looks for sleepers. All four are sequentially consistent, so
 *              one of the two sees the other.
 * A sleeper    that is killed leaves its count behind: later publishers make one system call more.
 * Cost         publish: stores, one read-modify-write a bell, a system call only when somebody
 *              sleeps. Where there is no futex, sleepers look again after 20 us, doubling to 5 ms.
 */
#ifndef PS_QUEUE_LOG_HEAD_H
#define PS_QUEUE_LOG_HEAD_H

#include "base/error.h"

typedef struct ps_log_head ps_log_head;

/* Where writing goes on. boot tells starts of the machine apart. */
typedef struct ps_log_tail {
    int64_t segment;    /* first offset of the active segment */
    int64_t size_bytes; /* of it, up to end */
    int64_t end;        /* offset of the next row */
    int64_t append_ns;  /* when the last row came: appends never go back in time */
    int64_t event_max;  /* latest event time so far */
    uint64_t boot;
} ps_log_tail;

#define PS_LOG_PARTITIONS_MAX 1024

/* Bytes of the file. */
PS_API int64_t ps_log_head_bytes(int32_t partition_count);
/* What a new file begins with (PS_LOG_HEAD_START bytes); the rest is zero. */
#define PS_LOG_HEAD_START 16
PS_API void ps_log_head_start(int32_t partition_count, uint8_t *out);

/* Maps an open file (the descriptor may be closed afterwards); PS_CORRUPT when it is none of
 * this partition count. name: of the file, for errors. */
PS_API PS_MUST_CHECK ps_status ps_log_head_map(int fd, const char *name, int32_t partition_count,
                                               ps_log_head **out, ps_error *err);
PS_API void ps_log_head_unmap(ps_log_head *head); /* NULL allowed */

/* Offset after the last row that readers may see. */
PS_API int64_t ps_log_head_end(const ps_log_head *head, int32_t partition);
/* False when the tail cannot be trusted. */
PS_API bool ps_log_head_tail(const ps_log_head *head, int32_t partition, uint64_t boot,
                             ps_log_tail *out);
/* Makes rows up to tail->end visible and wakes sleepers. */
PS_API void ps_log_head_publish(ps_log_head *head, int32_t partition, const ps_log_tail *tail);

/* Returns the index of a partition whose end is no longer ends[i]; -1 when timeout_ns (not
 * negative) is over or a signal came. partitions NULL: 0, 1, ... */
PS_API int32_t ps_log_head_wait(ps_log_head *head, const int32_t *partitions, const int64_t *ends,
                                int32_t count, int64_t timeout_ns);

#endif
