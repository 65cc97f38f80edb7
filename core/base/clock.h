/* clock.h - time, replaceable in tests.
 *
 * Threads: any. A test sets the fake clock before it starts threads.
 */
#ifndef KPIPE_BASE_CLOCK_H
#define KPIPE_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

int64_t clock_wall_ms(void); /* Unix time, milliseconds */
int64_t clock_mono_ms(void); /* never goes back */
int64_t clock_mono_ns(void);
int64_t clock_cpu_ns(void); /* CPU time of the whole process */

/* From now on both clocks stand at wall_ms (monotonic: the same number) until moved. */
void clock_fake(int64_t wall_ms);
void clock_fake_move(int64_t by_ms);
void clock_real(void);

#endif
