#include "rfc3339.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SECOND_US       1000000
#define END_OF_YEARS_US (INT64_C(253402300800) * SECOND_US)

void rfc3339_write(char text[RFC3339_SIZE], int64_t unix_us, int digits)
{
	const int64_t at_us = unix_us < RFC3339_LAST_US ? unix_us : RFC3339_LAST_US;
	/* Also before 1970 the fraction of a second counts upwards from 0. */
	int64_t fraction = (at_us % SECOND_US + SECOND_US) % SECOND_US;
	const time_t seconds = (time_t)((at_us - fraction) / SECOND_US);
	struct tm utc;
	size_t length;

	gmtime_r(&seconds, &utc);
	length = strftime(text, RFC3339_SIZE, "%Y-%m-%dT%H:%M:%S", &utc);
	for (int i = digits; i < 6; i++)
		fraction /= 10;
	if (digits > 0)
		length +=
		    (size_t)snprintf(text + length, RFC3339_SIZE - length, ".%0*d", digits, (int)fraction);
	snprintf(text + length, RFC3339_SIZE - length, "Z");
}

bool rfc3339_read(const char *text, int64_t *unix_us)
{
	struct tm utc = {0};
	const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &utc) : NULL;
	int64_t fraction = 0;
	int64_t unit = SECOND_US / 10;

	if (!rest)
		return false;
	if (*rest == '.')
		for (rest++; isdigit((unsigned char)*rest); rest++, unit /= 10)
			fraction += (*rest - '0') * unit;
	if (strcmp(rest, "Z") != 0)
		return false;
	*unix_us = (int64_t)timegm(&utc) * SECOND_US + fraction;
	/* A leap second may lead out of the years that four digits can say. */
	return *unix_us < END_OF_YEARS_US;
}
