/* crc32c.h -- CRC-32C (Castagnoli), the checksum of everything that is stored.
 *
 * Callers      any thread.
 * Answers      the CRC of RFC 3720 (iSCSI), appendix B.4: polynomial 0x1edc6f41, bits reflected,
 *              start and end inverted. value is the CRC of the bytes before, 0 at the start, so
 *              crc(a + b) = ps_crc32c(ps_crc32c(0, a), b).
 * Cost         x86-64 with SSE 4.2 and PCLMULQDQ: three chains of the CRC instruction side by side,
 *              joined by a carry-less product, about 8 bytes a cycle (V. Gopal et al., Fast CRC
 *              Computation for iSCSI Polynomial Using CRC32 Instruction, Intel, 2011). ARMv8 with
 *              the CRC extension: one chain. Elsewhere a table, one byte a step.
 */
#ifndef PS_BASE_CRC32C_H
#define PS_BASE_CRC32C_H

#include "base/base.h"

/* data may be NULL when size is 0. */
PS_API uint32_t ps_crc32c(uint32_t value, const void *data, size_t size);
/* The same from the table alone. */
uint32_t ps_crc32c_portable(uint32_t value, const void *data, size_t size);

#endif
