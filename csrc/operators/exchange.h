/* exchange.h -- sends each row to the shard that owns its key: the edge between threads.
 *
 * A batch is not copied: each shard gets the same batch with a selection of its rows, ascending. A
 * batch whose rows all go one way travels as it came. Watermarks, barriers and the end go to all.
 * With one target (no keys: everything to one shard) batches pass whole.
 * Cost: key programs and the key hash over chunks of PS_CHUNK_ROWS, then a counting sort of row
 * numbers: two passes over 2 bytes a row.
 */
#ifndef PS_OPERATORS_EXCHANGE_H
#define PS_OPERATORS_EXCHANGE_H

#include "expr/program.h"
#include "operators/op.h"
#include "queue/outbox.h"

/* keys: key_count programs over schema, cloned here. outbox: one target a shard, borrowed, outlives
 * the exchange. key_count 0 needs an outbox of one target. */
PS_MUST_CHECK ps_status ps_exchange_create(ps_mem *mem, ps_schema *schema, ps_program *const *keys,
                                           int32_t key_count, ps_outbox *outbox, ps_operator **out,
                                           ps_error *err);

#endif
