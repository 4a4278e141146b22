/* cores.h -- how many threads of this process can run at a time. */
#ifndef PS_BASE_CORES_H
#define PS_BASE_CORES_H

#include "base/base.h"

/* Cores that the process may use, at least 1: those of its affinity where the system tells. */
int32_t ps_core_count(void);

#endif
