/*
 * The store contract over plain records: it reads the record, lets record.c judge it, and writes by
 * compare-and-swap. A backend only reads, writes and removes records.
 */
#ifndef MPSYNC_STORES_RECORDS_H
#define MPSYNC_STORES_RECORDS_H

#include "protocol/record.h"
#include "protocol/store.h"

enum record_result {
	RECORD_OK,
	RECORD_ABSENT,   /* read, write: there is no record */
	RECORD_CONFLICT, /* write, remove: the record has another version, or is gone */
	RECORD_REFUSED,  /* the request can never succeed; status, message */
	RECORD_UNKNOWN   /* no answer in time; status, message */
};

/* One request to a backend. The backend may finish it before it returns. */
struct record_request {
	const char *name;
	struct id claim; /* the claim that asks */
	uint32_t ttl_ms; /* of that claim; 0: of no claim */
	bool fresh;      /* read: not from a cache */
	bool reserve;    /* write: the record stays the same but for `next` */
	bool grant;      /* write: it grants; the backend sets `token` if it can know it before */
	bool renewal;    /* write: the record stays the same but for its renewal and deadline */
	bool durable;    /* write, remove: on disk before the answer */
	bool uncertain;  /* the backend sent it twice: another copy may yet be carried out */
	bool create;     /* write: only if there is no record; else `version` and `uid` must match */
	/* It may be sent again while it is unanswered (rule 28, one silent connection stops nobody). */
	bool again;
	/* A write that neither grants nor reserves leaves `next` as it is. */
	uint64_t until_ms; /* boot clock: nobody wants the answer after this */
	uint64_t version;
	struct id uid;
	uint32_t value_version; /* write: which of the claim's values; not for the backend */
	struct record record;   /* write: texts are borrowed until the call returns */
	void (*done)(struct record_request *request, enum record_result result,
	    const struct record *record, enum mpsync_status status, const char *message,
	    uint64_t retry_in_ms);
	void *data; /* the backend's own data */
};

struct records;
struct record_backend;

struct record_backend_ops {
	void (*read)(struct record_backend *backend, struct record_request *request);
	/* RECORD_OK brings the record as it was written, with its new version and uid. */
	void (*write)(struct record_backend *backend, struct record_request *request);
	void (*remove)(struct record_backend *backend, struct record_request *request);
	/* The backend must not call the request's `done` any more. */
	void (*cancel)(struct record_backend *backend, struct record_request *request);
	/* Writes between these two may be kept back, and answered together at the end. */
	void (*batch_begin)(struct record_backend *backend);
	void (*batch_end)(struct record_backend *backend);
	/* The order of the waiters. It saves lost races and never decides who holds. */
	void (*enqueue)(struct record_backend *backend, const struct store_claim *claim);
	void (*dequeue)(struct record_backend *backend, const struct store_claim *claim);
	/*
	 * Start or stop watching the name: call records_changed when it changes. Watching starts before
	 * the name is read, so that no change is missed.
	 */
	void (*watch)(struct record_backend *backend, const char *name, bool on);
	/* CHECK, LIST and GET, with the callbacks of store_query. */
	void (*query)(struct record_backend *backend, struct store_query *query);
	/* The backend must not call the query's `done` any more. NULL: it always calls it at once. */
	void (*query_cancel)(struct record_backend *backend, struct store_query *query);
	void (*close)(struct record_backend *backend);
	/* As those of store_ops. */
	bool (*finishing)(const struct record_backend *backend);
	const char *(*silence)(const struct record_backend *backend);
};

struct record_backend {
	const struct record_backend_ops *ops;
	struct records *records;
	struct record_host host; /* written into each record of this process */
	const char *kind;
	const char *url; /* as store.url */
	uint32_t shortest_ttl_ms;
	uint32_t ttl_step_ms; /* 0: any ttl */
	bool absent_is_free;  /* no record is deleted by hand; a release removes the record */
	bool renews_often; /* requests cross a network: rights are renewed often, to survive outages */
	bool outlives_process; /* as store.outlives_process */
	/*
	 * A write whose answer was lost may be carried out much later (rule 16, a create is guarded by
	 * no version).
	 */
	bool late_grants;
	/*
	 * The token is the version of the granting write, which therefore cannot contain it (rule 10,
	 * the token stands in the record).
	 */
	bool token_is_version;
	/* Waiters have places in the record and no queue (rule 49, places instead of a herd). */
	bool reserves;
	/*
	 * The backend tells every change of every name, watched or not (rule 25, observation outlives
	 * the claim).
	 */
	bool sees_all;
};

/* Takes the backend over, also on failure. NULL without memory or randomness. */
struct store *records_new(struct record_backend *backend, const struct store_clock *clock);

/* The holder renewed: waiters observe the ttl anew, observers are not told. */
void records_seen(struct records *records, const char *name, const struct record *record);

/*
 * Changes of the name (NULL: of all names) cannot be watched until one is seen; observers and the
 * waiters of the name are told so.
 */
void records_unwatched(
    struct records *records, const char *name, enum mpsync_status status, const char *message);

/*
 * A watched name changed; NULL: any of them may have changed. `known`: `record` is what is stored
 * now (NULL: nothing); else it has to be read.
 */
void records_changed(
    struct records *records, const char *name, bool known, const struct record *record);

/* The time by the clock that the records were made with. */
uint64_t records_now(const struct records *records);

/* A record as lists show it. Texts stay the record's. */
struct store_lock record_as_lock(
    const struct record *record, const char *name, uint64_t now_ms, uint32_t waiters);

#endif
