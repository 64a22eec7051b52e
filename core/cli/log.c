#include "log.h"

#include "api/client.h"
#include "base/options.h"
#include "base/wire.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const levels[] = {"error", "warn", "info", "debug"};

static bool is_shown(const mpsync_client *client, enum log_level level)
{
	const char *most = options_text(&client->options, OPTION_LOG);

	for (size_t i = level; i < sizeof levels / sizeof *levels; i++)
		if (strcmp(levels[i], most) == 0)
			return true;
	return false;
}

static void print_object(enum log_level level, const char *message)
{
	cJSON *object = cJSON_CreateObject();

	print_json(stderr, wire_whole(object, wire_add_text(object, "level", levels[level]) &&
	                                          wire_add_text(object, "message", message)));
}

void log_say(const mpsync_client *client, enum log_level level, const char *format, ...)
{
	char message[2048];
	va_list arguments;

	if (!is_shown(client, level))
		return;
	va_start(arguments, format);
	vsnprintf(message, sizeof message, format, arguments);
	va_end(arguments);
	if (strcmp(options_text(&client->options, OPTION_LOG_FORMAT), "json") == 0)
		print_object(level, message);
	else
		complain(0, "%s", message);
}
