/* Clients and their handles, and what handles may be asked, in the words of one name. */
#ifndef HANDLES_H
#define HANDLES_H

#include "handle_book.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#define HANDLES  4
#define CLIENTS  2
#define FOR_EVER (-1)
#define LONG_MS  120000

/* Where the locks are, and what chooses at random: said of what goes wrong. */
extern const char *handles_place;
extern unsigned handles_seed;

void require(bool right, const char *what);

/* Aborts unless the status is OK or one of those named. */
void allow(mpsync_status status, const char *call, const mpsync_status *allowed);
#define ALLOW(status, ...) allow(status, __func__, (const mpsync_status[]){__VA_ARGS__, MPSYNC_OK})

/* One client and all that was asked of it. It is kept to the end of the round. */
struct party {
	struct party *next;
	mpsync_queue *queue;
	mpsync_client *client; /* NULL: closed */
	struct book *book;
	pthread_mutex_t reading; /* so that events are booked in their order */
};

/* A lock or an election; freed and made anew only by who has the lock for writing. */
struct handle {
	pthread_rwlock_t guard;
	mpsync_lock *lock;
	mpsync_election *election;
	struct party *party;
	atomic_uint_fast64_t earlier; /* a grant that it had */
	atomic_uint_fast64_t latest;  /* its latest request */
};

struct world {
	pthread_mutex_t mutex;
	pthread_rwlock_t guards[CLIENTS];
	struct party *parties[CLIENTS];
	struct party *all;
	struct handle handles[HANDLES];
};

void world_begin(struct world *world);
/* Handles and their client may be given up in any order; without it they answer CLOSED. */
void world_end(struct world *world, bool clients_first);

struct party *party_new(struct world *world);
void party_close(struct party *party);
void party_close_start(struct party *party);
void party_observe(struct party *party, bool stop);
void party_read(struct party *party);

void handle_make(struct handle *handle, struct party *party, bool election);
bool handle_is_made(const struct handle *handle);
void handle_drop(struct handle *handle);
/* Blocks until it is held. */
void handle_hold(struct handle *handle);
mpsync_status handle_try(struct handle *handle);
void handle_wait(struct handle *handle);
void handle_cancel(struct handle *handle);
void handle_release(struct handle *handle);
void handle_look(struct handle *handle);
uint64_t handle_grant(const struct handle *handle);
bool handle_holds(const struct handle *handle, uint64_t grant);

/* All that a handle may be asked: each makes sure that the answer is one that may be given. */
typedef void handle_action(struct handle *handle);
#define HANDLE_ACTIONS 12
extern handle_action *const handle_actions[HANDLE_ACTIONS];

#endif
