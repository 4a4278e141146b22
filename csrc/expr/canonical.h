/* canonical.h -- an expression as text that is the same whenever it is the same expression.
 *
 *   price            multiply(price, 0.92)            `a b`            when(a, 'x', null)
 *
 * The text names columns of state in checkpoints, so it must not depend on how the query is cut
 * into operators or on what stands beside it, and changing it here changes a format. Two
 * expressions have one text only if they compute the same. A text that does not fit ends in a hash
 * of all of it.
 */
#ifndef PS_EXPR_CANONICAL_H
#define PS_EXPR_CANONICAL_H

#include "expr/program.h"

#define PS_CANONICAL_TEXT 96 /* bytes, the terminator included */

void ps_expr_canonical(const ps_expr *expr, int32_t root, char text[PS_CANONICAL_TEXT]);

#endif
