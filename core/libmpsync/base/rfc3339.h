/* Points in time as text: RFC 3339, UTC. */
#ifndef MPSYNC_RFC3339_H
#define MPSYNC_RFC3339_H

#include <stdbool.h>
#include <stdint.h>

/* The last whole second of the year 9999, in microseconds: a year has four digits. */
#define RFC3339_LAST_US 253402300799000000
#define RFC3339_SIZE    40

/* `digits` is how many decimals of a second are written, 0 to 6. */
void rfc3339_write(char text[RFC3339_SIZE], int64_t unix_us, int digits);

/* Reads any number of decimals of a second, of which six count. False: the text is not a time. */
bool rfc3339_read(const char *text, int64_t *unix_us);

#endif
