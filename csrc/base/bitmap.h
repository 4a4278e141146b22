/* bitmap.h -- Arrow bitmaps (least significant bit first) at any bit offset.
 *
 * Counts are of bits. No function touches a byte outside those that hold the bits named, so buffers
 * need no padding; writers leave the other bits of their first and last byte as they were.
 * Cost: about 64 bits a step (count, copy, and), 8 bits a step (bytes <-> bits).
 */
#ifndef PS_BASE_BITMAP_H
#define PS_BASE_BITMAP_H

#include "base/base.h"

/* Set bits among [bit, bit + count). */
int64_t ps_bitmap_count(const uint8_t *bits, int64_t bit, int64_t count);
/* Whether all (none) of them are set; stops at the first that differs. */
bool ps_bitmap_all(const uint8_t *bits, int64_t bit, int64_t count);
bool ps_bitmap_none(const uint8_t *bits, int64_t bit, int64_t count);
/* One byte (0 or 1) per bit. */
void ps_bitmap_to_bytes(const uint8_t *bits, int64_t bit, int64_t count, uint8_t *bytes);
/* The same at picked bits: bytes[i] = bit + rows[i]. */
void ps_bitmap_gather(const uint8_t *bits, int64_t bit, const uint32_t *rows, int64_t count,
                      uint8_t *bytes);
/* Packs bytes that are 0 or 1. */
void ps_bitmap_from_bytes(const uint8_t *bytes, int64_t count, uint8_t *bits, int64_t bit);
void ps_bitmap_copy(const uint8_t *from, int64_t from_bit, int64_t count, uint8_t *to,
                    int64_t to_bit);
void ps_bitmap_fill(uint8_t *bits, int64_t bit, int64_t count, bool value);
/* to[to_bit + i] = a[a_bit + i] and b[b_bit + i]. */
void ps_bitmap_and(const uint8_t *a, int64_t a_bit, const uint8_t *b, int64_t b_bit, int64_t count,
                   uint8_t *to, int64_t to_bit);

#endif
