#include "log.h"

#include "api/client.h"
#include "base/options.h"

#include <cjson/cJSON.h>
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
	char *text = NULL;

	if (cJSON_AddStringToObject(object, "level", levels[level]) &&
	    cJSON_AddStringToObject(object, "message", message))
		text = cJSON_PrintUnformatted(object);
	if (text)
		print_json_text(stderr, text);
	cJSON_free(text);
	cJSON_Delete(object);
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
