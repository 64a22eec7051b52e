#include "state_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

char *state_file(const char *name)
{
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");
	char *path = NULL;
	int length = -1;

	if (state && *state)
		length = asprintf(&path, "%s/mpsync/%s", state, name);
	else if (home && *home)
		length = asprintf(&path, "%s/.local/state/mpsync/%s", home, name);
	else if (geteuid() == 0)
		length = asprintf(&path, "/var/lib/mpsync/%s", name);
	return length >= 0 ? path : NULL;
}
