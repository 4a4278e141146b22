/* size.h -- how many bytes the rows of a column span.
 *
 * What a view of some rows keeps busy, not what its buffers hold in all: a slice of a shared buffer
 * counts for its own part. Strings count by their offsets or views; lists, maps, structs and unions
 * with what is below them. Dictionaries are shared by many batches and count for none.
 *
 * Callers      any thread; reads the column only.
 * Cost         a few loads a column; a look at every row for views and lists of them.
 */
#ifndef PS_ARROW_SIZE_H
#define PS_ARROW_SIZE_H

#include "arrow/column.h"

int64_t ps_column_size_bytes(const ps_column *column);

#endif
