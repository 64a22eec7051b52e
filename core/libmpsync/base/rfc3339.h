/* Moments as text: UTC, as JSON carries them. */
#ifndef MPSYNC_RFC3339_H
#define MPSYNC_RFC3339_H

#include <stdbool.h>
#include <stdint.h>

/* The last whole second that its four digits of a year can say, in microseconds. */
#define RFC3339_LAST_US 253402300799000000
#define RFC3339_SIZE    40

/* `digits` of a second, 0 to 6. */
void rfc3339_write(char text[RFC3339_SIZE], int64_t unix_us, int digits);

/* Any number of digits of a second; those behind the sixth do not count. False: it is no time. */
bool rfc3339_read(const char *text, int64_t *unix_us);

#endif
