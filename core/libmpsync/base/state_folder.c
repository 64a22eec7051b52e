#include "state_folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

char *state_file(const char *name)
{
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");
	char *path = NULL;
	int length;

	if (state && *state)
		length = asprintf(&path, "%s/mpsync/%s", state, name);
	else if (home && *home)
		length = asprintf(&path, "%s/.local/state/mpsync/%s", home, name);
	else if (geteuid() == 0)
		length = asprintf(&path, "/var/lib/mpsync/%s", name);
	else {
		errno = ENOENT;
		return NULL;
	}
	if (length >= 0)
		return path;
	errno = ENOMEM;
	return NULL;
}
