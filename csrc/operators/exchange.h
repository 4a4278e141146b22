/* exchange.h -- sends each row to the shard that owns its key: the edge between threads.
 *
 * Rows of numbers and booleans are dealt out: each shard gets a dense batch of its own rows and of
 * the columns that are read downstream (deal.h). A batch with other columns is not copied: each
 * shard gets it with a selection of its rows, ascending. A batch whose rows all go one way travels
 * as it came. Watermarks, barriers and the end go to all. With one target (no keys: everything to
 * one shard) batches pass whole. Before an aggregate whose totals merge exactly, rows of keys that
 * repeat within a batch are added up and leave as partials (pre_aggregate.h).
 * Cost: key programs and the key hash over chunks of PS_CHUNK_ROWS, 2 bytes a row for the targets,
 * then a pass over them and over each column for each target.
 */
#ifndef PS_OPERATORS_EXCHANGE_H
#define PS_OPERATORS_EXCHANGE_H

#include "operators/aggregate.h"
#include "queue/outbox.h"

/* keys: key_count programs over schema, cloned here. wanted: a flag a column, NULL for all; outbox:
 * one target a shard; both borrowed, they outlive the exchange. key_count 0 needs an outbox of one
 * target. */
PS_MUST_CHECK ps_status ps_exchange_create(ps_mem *mem, ps_schema *schema, ps_program *const *keys,
                                           int32_t key_count, const bool *wanted, ps_outbox *outbox,
                                           ps_operator **out, ps_error *err);
/* Adds rows up before they travel to the aggregate of these args, where that changes no result
 * (pre_aggregate.h) and pays (pre_choice.h); else it does nothing. Before the first batch; after a
 * failure the exchange is only to be closed. */
PS_MUST_CHECK ps_status ps_exchange_pre_aggregate(ps_operator *exchange, ps_schema *output,
                                                  const ps_aggregate_args *args, ps_error *err);

#endif
