/* text.h -- numbers and times from text and back, for casts. No locale, no allocation. */
#ifndef PS_EXPR_TEXT_H
#define PS_EXPR_TEXT_H

#include "arrow/column.h"

#define PS_TEXT_MAX 40 /* the longest text that a formatting function writes, with its terminator */

/* Decimal digits with an optional sign. False: not a number or out of range. */
bool ps_text_to_i64(ps_string s, int64_t *out);
bool ps_text_to_u64(ps_string s, uint64_t *out);
/* Decimal or scientific, "inf", "infinity", "nan" in any case. */
bool ps_text_to_f64(ps_string s, double *out);
bool ps_text_to_bool(ps_string s, bool *out); /* true, false in any case; 1, 0 */
/* ISO 8601: YYYY-MM-DD, then optionally T or a space, HH:MM, :SS, .fraction (up to 9 digits), then
 * optionally Z or +HH:MM. Seconds since the epoch (UTC) and the nanoseconds after. */
bool ps_text_to_time(ps_string s, int64_t *seconds, int32_t *nanoseconds);

/* Each writes a terminated text and returns its size. */
int64_t ps_text_from_i64(int64_t value, char *text);
int64_t ps_text_from_u64(uint64_t value, char *text);
int64_t ps_text_from_f64(double value, char *text); /* the shortest that reads back the same */
/* digits: of the fraction, 0, 3, 6 or 9; -1 writes the date alone. */
int64_t ps_text_from_time(int64_t seconds, int64_t nanoseconds, int digits, char *text);

#endif
