/* Which file a URL of the kind file:PATH means, whatever its spelling. */
#ifndef MPSYNC_STORES_SQLITE_PATH_H
#define MPSYNC_STORES_SQLITE_PATH_H

#include <mpsync.h>

/*
 * Absolute and without symbolic links, also of a file that is not there yet; path "" is the user's
 * own file, whose folder is made. Owned by the caller; NULL: error names what is missing.
 */
char *sqlite_path_resolve(const char *path, mpsync_error *error);

/* The URL of a path as it comes from the above. Owned by the caller; NULL without memory. */
char *sqlite_path_url(const char *path);

/* The folder of such a path. Owned by the caller; NULL without memory. */
char *sqlite_path_folder(const char *path);

#endif
