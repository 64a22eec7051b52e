#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * How many bytes follow a first byte of UTF-8, or -1, and the smallest code point that may be
 * written with so many.
 */
static int followers(unsigned char first, unsigned long *smallest)
{
	if (first < 0x80)
		return 0;
	if ((first & 0xe0) == 0xc0) {
		*smallest = 0x80;
		return 1;
	}
	if ((first & 0xf0) == 0xe0) {
		*smallest = 0x800;
		return 2;
	}
	if ((first & 0xf8) == 0xf0) {
		*smallest = 0x10000;
		return 3;
	}
	return -1;
}

bool text_same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

char *text_copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

int text_compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* The length in bytes of the text's first character, and its code point; 0: it is not UTF-8. */
static size_t take_character(const char *text, size_t length, unsigned long *point)
{
	const unsigned char *bytes = (const unsigned char *)text;
	unsigned long smallest = 0;
	const int more = followers(bytes[0], &smallest);

	if (more < 0 || (size_t)more >= length)
		return 0;
	*point = more == 0 ? bytes[0] : bytes[0] & (0x3fu >> more);
	for (int k = 1; k <= more; k++) {
		if ((bytes[k] & 0xc0) != 0x80)
			return 0;
		*point = *point << 6 | (bytes[k] & 0x3f);
	}
	if (*point < smallest || *point > 0x10ffff || (*point >= 0xd800 && *point <= 0xdfff))
		return 0;
	return (size_t)more + 1;
}

bool text_is_utf8(const char *text, size_t length)
{
	unsigned long point;

	for (size_t i = 0; i < length;) {
		const size_t taken = take_character(text + i, length - i, &point);

		if (taken == 0)
			return false;
		i += taken;
	}
	return true;
}

/* Control characters (C0, DEL, C1), which terminals obey. */
static bool is_control(unsigned long point)
{
	return point < 0x20 || (point >= 0x7f && point <= 0x9f);
}

void text_escape(char *out, size_t size, const char *text)
{
	const size_t length = strlen(text);
	size_t used = 0;

	for (size_t i = 0; i < length;) {
		unsigned long point = 0;
		size_t taken = take_character(text + i, length - i, &point);
		const bool plain = taken > 0 && !is_control(point);
		const size_t room = plain ? taken : 4 * (taken ? taken : 1);

		taken = taken ? taken : 1;
		if (used + room >= size)
			break;
		if (plain)
			memcpy(out + used, text + i, taken);
		else
			for (size_t k = 0; k < taken; k++)
				snprintf(out + used + 4 * k, 5, "\\x%02x", (unsigned char)text[i + k]);
		used += room;
		i += taken;
	}
	out[used] = '\0';
}

const char *name_problem(const char *name)
{
	const size_t length = name ? strnlen(name, NAME_MOST + 1) : 0;

	if (length == 0)
		return "the name is empty; give 1 to 1,024 bytes";
	if (length > NAME_MOST)
		return "the name is longer than 1,024 bytes";
	if (!text_is_utf8(name, length))
		return "the name is not valid UTF-8";
	return NULL;
}

const char *holder_problem(const char *holder)
{
	const size_t length = holder ? strnlen(holder, HOLDER_MOST + 1) : 0;

	if (length == 0)
		return "the holder is empty; give 1 to 256 bytes";
	if (length > HOLDER_MOST)
		return "the holder is longer than 256 bytes";
	if (!text_is_utf8(holder, length))
		return "the holder is not valid UTF-8";
	for (size_t i = 0; i < length;) {
		unsigned long point = 0;

		i += take_character(holder + i, length - i, &point);
		if (is_control(point))
			return "the holder has a control character";
	}
	return NULL;
}

const char *value_problem(const char *value)
{
	const size_t length = strnlen(value, VALUE_MOST + 1);

	if (length > VALUE_MOST)
		return "the value is longer than 16 KiB";
	if (!text_is_utf8(value, length))
		return "the value is not valid UTF-8";
	return NULL;
}

struct shared_text {
	size_t references;
	char text[];
};

static struct shared_text *shared_of(char *text)
{
	return (struct shared_text *)(text - offsetof(struct shared_text, text));
}

char *shared_text_of(char **latest, const char *text)
{
	struct shared_text *shared;

	if (!*latest || strcmp(*latest, text) != 0) {
		shared = malloc(sizeof *shared + strlen(text) + 1);
		if (!shared)
			return NULL;
		shared->references = 1;
		shared_text_free(*latest);
		*latest = strcpy(shared->text, text);
	}
	shared_of(*latest)->references++;
	return *latest;
}

void shared_text_free(char *text)
{
	struct shared_text *shared = text ? shared_of(text) : NULL;

	if (shared && --shared->references == 0)
		free(shared);
}
