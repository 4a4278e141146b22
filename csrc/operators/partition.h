/* partition.h -- cuts a batch into the partitions that own its rows: what a log's producer does.
 *
 * Partition p of n owns the key groups that shard p of n owns (op.h), so a job of as many shards as
 * its input has partitions finds each key where it already is.
 * Callers      any thread.
 * Cost         the key hash over chunks of PS_CHUNK_ROWS, a counting pass, one take a partition; a
 *              batch whose rows all go one way is not copied.
 */
#ifndef PS_OPERATORS_PARTITION_H
#define PS_OPERATORS_PARTITION_H

#include "arrow/batch.h"

/* parts[p]: the rows of partition p in their order, a reference for the caller, or NULL when it has
 * none. keys: column numbers. PS_TYPE names a key column that cannot be hashed. */
PS_API PS_MUST_CHECK ps_status ps_batch_partition(ps_batch *batch, const int32_t *keys,
                                                  int32_t key_count, int32_t partition_count,
                                                  ps_batch **parts, ps_error *err);

#endif
