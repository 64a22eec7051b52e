#include "duration.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LONGEST_WISH_MS (1000ull * 3600 * 1000)
#define LONGEST_MS      (1ull << 53)

static uint64_t unit_ms(const char *unit)
{
	if (strcmp(unit, "ms") == 0)
		return 1;
	if (strcmp(unit, "s") == 0)
		return 1000;
	if (strcmp(unit, "m") == 0)
		return 60000;
	if (strcmp(unit, "h") == 0)
		return 3600000;
	return 0;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

enum reading { READ, TOO_LONG, NOT_ONE };

static enum reading read_duration(const char *text, uint64_t most_ms, uint64_t *ms)
{
	uint64_t thousandths = 0;
	unsigned digits = 0;
	unsigned decimals = 0;
	uint64_t unit;

	for (; is_digit(*text) && digits < 14; text++, digits++)
		thousandths = thousandths * 10 + (uint64_t)(*text - '0');
	if (digits == 0)
		return NOT_ONE;
	if (*text == '.') {
		for (text++; is_digit(*text) && decimals < 3; text++, decimals++)
			thousandths = thousandths * 10 + (uint64_t)(*text - '0');
		if (decimals == 0)
			return NOT_ONE;
	}
	for (; decimals < 3; decimals++)
		thousandths *= 10;
	unit = unit_ms(text);
	if (unit == 0)
		return NOT_ONE;
	if (thousandths / 1000 > most_ms / unit)
		return TOO_LONG;
	*ms = thousandths * unit / 1000;
	return *ms <= most_ms ? READ : TOO_LONG;
}

bool duration_parse(const char *text, uint64_t *ms)
{
	return read_duration(text, LONGEST_WISH_MS, ms) == READ;
}

bool duration_is_too_long(const char *text)
{
	uint64_t ms;

	return read_duration(text, LONGEST_WISH_MS, &ms) == TOO_LONG;
}

bool duration_read(const char *text, uint64_t *ms)
{
	return read_duration(text, LONGEST_MS, ms) == READ;
}

void duration_format(char text[DURATION_TEXT_SIZE], uint64_t ms)
{
	snprintf(text, DURATION_TEXT_SIZE, "%" PRIu64 ".%03us", ms / 1000, (unsigned)(ms % 1000));
}
