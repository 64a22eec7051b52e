/* The two clocks. Rights are counted on boot time, which goes on while the machine sleeps. */
#ifndef MPSYNC_CLOCK_H
#define MPSYNC_CLOCK_H

#include "protocol/store.h"

uint64_t clock_boot_ms(void);
int64_t clock_wall_ms(void);

/* The clocks above and the kernel's random numbers. */
struct store_clock clock_real(void *context);

#endif
