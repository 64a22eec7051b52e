#include "failing.h"

#include <cjson/cJSON.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static atomic_long left;    /* until the first one fails; negative: none does any more */
static atomic_long further; /* how many fail from then on */
static atomic_bool failed;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t most);
int __wrap_asprintf(char **text, const char *format, ...);

bool failing_this(void)
{
	if (atomic_load(&left) < 0 || atomic_fetch_sub(&left, 1) > 1)
		return false;
	if (atomic_fetch_sub(&further, 1) > 1)
		atomic_store(&left, 1);
	atomic_store(&failed, true);
	return true;
}

void *__wrap_malloc(size_t size)
{
	return failing_this() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return failing_this() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return failing_this() ? NULL : __real_realloc(memory, size);
}

char *__wrap_strndup(const char *text, size_t most)
{
	const size_t length = strnlen(text, most);
	char *copy = __wrap_malloc(length + 1);

	if (!copy)
		return NULL;
	memcpy(copy, text, length);
	copy[length] = '\0';
	return copy;
}

char *__wrap_strdup(const char *text)
{
	return __wrap_strndup(text, strlen(text));
}

int __wrap_asprintf(char **text, const char *format, ...)
{
	va_list arguments;
	int length;

	if (failing_this())
		return -1;
	va_start(arguments, format);
	length = vasprintf(text, format, arguments);
	va_end(arguments);
	return length;
}

void failing_install(bool libevent)
{
	atomic_store(&left, -1);
	cJSON_InitHooks(&(cJSON_Hooks){.malloc_fn = __wrap_malloc, .free_fn = free});
	if (libevent)
		event_set_mem_functions(__wrap_malloc, __wrap_realloc, free);
}

void failing_from(long nth, long count)
{
	atomic_store(&failed, false);
	atomic_store(&further, count);
	atomic_store(&left, nth);
}

bool failing_end(void)
{
	atomic_store(&left, -1);
	return atomic_load(&failed);
}
