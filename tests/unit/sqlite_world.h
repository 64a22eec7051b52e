/*
 * A store in a file of its own, on a loop that the test turns, with the test as its engine; and
 * what another program with the same file open would do to it.
 */
#ifndef SQLITE_WORLD_H
#define SQLITE_WORLD_H

#include "base/options.h"
#include "net/loop.h"
#include "stores/records/records.h"

#include <sqlite3.h>

struct sqlite_world {
	struct loop loop;
	struct store *store;
	struct mpsync_options options;
	char folder[64];
	char path[96];
	enum claim_event event; /* the last answer's */
	uint64_t token;
	const unsigned *counter; /* one of the test's, or NULL */
	unsigned counted;        /* what it showed at the last answer */
};

/* With room for what the store keeps of it. */
struct kept_claim {
	struct store_claim claim;
	uint64_t kept[16];
};

/* Fixtures of cmocka: *state is the world. */
int sqlite_world_begin(void **state);
int sqlite_world_end(void **state);

/* A second store on another file, or on the same: closed by its own `close`. */
struct store *sqlite_world_open(struct sqlite_world *world, const char *path);

/* What the store is over. */
struct record_backend *backend_of(const struct sqlite_world *world);

struct kept_claim claim_of(char *name, unsigned char digest);
void attempt(struct sqlite_world *world, struct kept_claim *claim);
/* The last answer is to be a grant. */
void take(struct sqlite_world *world, struct kept_claim *claim);
void forget(struct sqlite_world *world, struct kept_claim *claim);
/* As the engine does: attempts again at each word of a change, until it is granted. */
void await_grant(struct sqlite_world *world, struct kept_claim *claim);
/* The loop turns so long. */
void let_pass(struct sqlite_world *world, long ms);

/* By a connection of another program. */
sqlite3 *sqlite_world_connect(const struct sqlite_world *world);
void sqlite_world_execute(const struct sqlite_world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* How many descriptors this process has open, of those whose name in /proc has this text. */
unsigned descriptors_of(const char *kind);

#endif
