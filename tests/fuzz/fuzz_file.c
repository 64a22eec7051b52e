/*
 * A file that another hand has written to, or has made. The first step of an input, up to the first
 * separator, is SQL that is run over a file of ours; or, behind a zero, all that the file consists
 * of.
 */
#include "world.h"

#include "stores/sqlite/sqlite.h"

#include <dirent.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_OPERATIONS 20000
#define MOST_LENGTH     100000

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static char folder[] = "/dev/shm/mpsync-fuzz-XXXXXX";
static char path[64];

static struct store *open_store(struct loop *loop, const struct store_clock *clock)
{
	struct mpsync_options options = {{0}};

	return sqlite_open(path, &options, true, loop, clock, NULL);
}

/* With all that stands beside it. */
static void forget_file(void)
{
	DIR *all = opendir(folder);
	const struct dirent *entry;

	while (all && (entry = readdir(all)))
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(all), entry->d_name, 0);
	if (all)
		closedir(all);
}

static void forget_folder(void)
{
	forget_file();
	rmdir(folder);
}

static void make_folder(void)
{
	if (*path)
		return;
	if (!mkdtemp(folder) || atexit(forget_folder) != 0)
		abort();
	snprintf(path, sizeof path, "%s/locks.db", folder);
}

/* ---- The other hand ---- */

/* No other file may be touched. */
static int authorize(
    void *context, int action, const char *a, const char *b, const char *c, const char *d)
{
	(void)context, (void)a, (void)b, (void)c, (void)d;
	return action == SQLITE_ATTACH || action == SQLITE_PRAGMA ? SQLITE_DENY : SQLITE_OK;
}

static int give_up(void *context)
{
	(void)context;
	return 1;
}

static void write_rows(const char *sql)
{
	sqlite3 *database = NULL;

	if (sqlite3_open(path, &database) == SQLITE_OK) {
		sqlite3_limit(database, SQLITE_LIMIT_LENGTH, MOST_LENGTH);
		sqlite3_limit(database, SQLITE_LIMIT_ATTACHED, 0);
		sqlite3_progress_handler(database, MOST_OPERATIONS, give_up, NULL);
		sqlite3_set_authorizer(database, authorize, NULL);
		sqlite3_exec(database, sql, NULL, NULL, NULL);
	}
	sqlite3_close(database);
}

static void write_file(const char *bytes, size_t size)
{
	const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (file < 0 || write(file, bytes, size) < 0)
		abort();
	close(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const char *text = (const char *)bytes;
	const char *end = size ? memmem(text, size, WORLD_SEPARATOR, strlen(WORLD_SEPARATOR)) : NULL;
	const size_t length = end ? (size_t)(end - text) : size;
	char *sql = strndup(size ? text : "", length);
	const size_t used = end ? length + strlen(WORLD_SEPARATOR) : size;

	make_folder();
	forget_file();
	if (length > 0 && !*text) {
		write_file(text + 1, length - 1);
	} else {
		world_run(open_store, NULL, 0);
		write_rows(sql);
	}
	world_run(open_store, bytes + used, size - used);
	free(sql);
	return 0;
}
