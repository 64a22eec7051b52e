/*
 * The store contract over plain records: reads what is there, lets record.c judge it, and writes by
 * compare-and-swap. A backend only reads, writes and removes.
 */
#ifndef MPSYNC_STORES_RECORDS_H
#define MPSYNC_STORES_RECORDS_H

#include "protocol/record.h"
#include "protocol/store.h"

enum record_result {
	RECORD_OK,
	RECORD_ABSENT,   /* read, write: nothing there */
	RECORD_CONFLICT, /* write, remove: another version is there, or none */
	RECORD_REFUSED,  /* can never succeed; status, message */
	RECORD_UNKNOWN   /* no answer in time; status, message */
};

/* One request to a backend. The backend may finish it before it returns. */
struct record_request {
	const char *name;
	struct id claim; /* who asks */
	uint32_t ttl_ms; /* of that claim; 0: nobody's */
	bool fresh;      /* read: not from a cache */
	bool reserve;    /* write: nothing but `next` differs from what is there */
	bool grant;      /* write: the backend sets `token` where it can know it beforehand */
	bool renewal;    /* write: nothing but renewals and deadline_ms differs from what is there */
	bool durable;    /* write, remove: on disk before it is answered */
	bool uncertain;  /* set by the backend: it sent this more than once, and another one of them may
	                    yet be done */
	bool create;     /* write: only if nothing is there; else `version` and `uid` must be */
	bool again;      /* it may be sent again while nobody answers (rule 28) */
	/* A write that neither grants nor reserves leaves `next` as it is. */
	uint64_t until_ms; /* boot clock: nobody wants the answer then */
	uint64_t version;
	struct id uid;
	uint32_t value_version; /* write: which of the claim's values `record` has; not the backend's */
	struct record record;   /* write: strings are borrowed until the call returns */
	void (*done)(struct record_request *request, enum record_result result,
	    const struct record *record, enum mpsync_status status, const char *message,
	    uint64_t retry_in_ms);
	void *data; /* the backend's own */
};

struct records;
struct record_backend;

struct record_backend_ops {
	void (*read)(struct record_backend *backend, struct record_request *request);
	/* OK brings the record as written, with its new version and uid. */
	void (*write)(struct record_backend *backend, struct record_request *request);
	void (*remove)(struct record_backend *backend, struct record_request *request);
	/* `done` must not be called any more. */
	void (*cancel)(struct record_backend *backend, struct record_request *request);
	/* Between these, writes may be kept back and answered at the end, together. */
	void (*batch_begin)(struct record_backend *backend);
	void (*batch_end)(struct record_backend *backend);
	/* The order of those who wait: politeness, never safety. */
	void (*enqueue)(struct record_backend *backend, const struct store_claim *claim);
	void (*dequeue)(struct record_backend *backend, const struct store_claim *claim);
	/* From `on` to off: call records_changed when the name changes. Starts before a read. */
	void (*watch)(struct record_backend *backend, const char *name, bool on);
	/* CHECK, LIST, GET: with store_query's own callbacks. */
	void (*query)(struct record_backend *backend, struct store_query *query);
	/* Its `done` must not be called any more. NULL: it always came at once. */
	void (*query_cancel)(struct record_backend *backend, struct store_query *query);
	void (*close)(struct record_backend *backend);
	/* As the store's. */
	bool (*finishing)(const struct record_backend *backend);
	const char *(*silence)(const struct record_backend *backend);
};

struct record_backend {
	const struct record_backend_ops *ops;
	struct records *records;
	struct record_host host; /* written into each record of ours */
	const char *kind;
	const char *url; /* as the store's */
	uint32_t shortest_ttl_ms;
	uint32_t ttl_step_ms;  /* 0: any */
	bool absent_is_free;   /* nobody deletes by hand; a release removes the record */
	bool late_grants;      /* a write whose answer was lost may be done much later (rule 16) */
	bool renews_often;     /* there is a network in between: outages are to be survived */
	bool token_is_version; /* of the granting write, which cannot bear it itself (rule 10) */
	bool reserves;         /* waiters have places in the record, not in a queue (rule 49) */
	bool sees_all;         /* tells every change of every name, watched or not (rule 25) */
};

/* Takes the backend over, also on failure. NULL without memory or randomness. */
struct store *records_new(struct record_backend *backend, const struct store_clock *clock);

/* Only for those who wait for the name: the holder renewed, which is nobody else's news. */
void records_seen(struct records *records, const char *name, const struct record *record);

/*
 * Changes of the name (NULL: of all names) cannot be watched, which observers are told, and those
 * who wait for the name; until one is seen.
 */
void records_unwatched(
    struct records *records, const char *name, enum mpsync_status status, const char *message);

/*
 * A watched name changed; NULL: any of them may have. `known`: `record` is what is there now (NULL:
 * nothing), else it has to be read.
 */
void records_changed(
    struct records *records, const char *name, bool known, const struct record *record);

/* The clock that the records were made with. */
uint64_t records_now(const struct records *records);

/* A record as lists show it. Strings stay the record's. */
struct store_lock record_as_lock(
    const struct record *record, const char *name, uint64_t now_ms, uint32_t waiters);

#endif
