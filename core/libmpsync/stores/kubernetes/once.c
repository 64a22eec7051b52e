#include "once.h"

#include <stdarg.h>
#include <stdio.h>

void once_say(struct once *once, const struct kube_ear *ear, const char *format, ...)
{
	char text[700];
	va_list arguments;

	if (once->said)
		return;
	once->said = true;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	ear->say(ear->context, text);
}

void once_hear(struct once *once, const struct kube_ear *ear, const struct kube_answer *answer,
    const char *meaning)
{
	if (answer->refused)
		once_say(once, ear, "%s: %s", meaning, answer->message);
	else if (!answer->unknown)
		once->said = false;
}
