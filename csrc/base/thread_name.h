/* thread_name.h -- what top, py-spy and debuggers call the calling thread.
 *
 * Linux shows 15 bytes, so a name is "ps-<job>-<role>" with the job cut where it must be and the
 * role whole: "ps-orders-s0", "ps-a-long-na-s0".
 */
#ifndef PS_BASE_THREAD_NAME_H
#define PS_BASE_THREAD_NAME_H

#include "base/base.h"

#define PS_THREAD_NAME_SIZE 16 /* with the final zero */

/* role: at most 8 bytes are used. Cuts UTF-8 between characters. */
void ps_thread_name_make(const char *job, const char *role, char out[PS_THREAD_NAME_SIZE]);
/* Names the calling thread; a system that cannot is left alone. */
PS_API void ps_thread_set_name(const char *job, const char *role);

#endif
