/* key_hash.h -- the hash of a key of one or several columns: routing and owning use this one
 * function.
 *
 * Equal keys hash equally whatever their Arrow width or encoding (int32 5 and int64 5, utf8 and a
 * dictionary of utf8). Null is a value of its own. -0.0 equals 0.0 and every NaN equals every NaN.
 * The top 10 bits are the key group (op.h), which is stored in checkpoints: changing this function
 * is a change of format.
 */
#ifndef PS_STATE_KEY_HASH_H
#define PS_STATE_KEY_HASH_H

#include "arrow/vector.h"

/* hashes[i] of row i over key_count >= 1 vectors, count <= PS_CHUNK_ROWS. */
void ps_key_hash(const ps_vector *keys, int32_t key_count, int64_t count, uint64_t *hashes);

#endif
