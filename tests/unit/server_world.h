/* An elector's whole server over a memory store, in this process, and its clients' ends of Unix
 * sockets. */
#ifndef MPSYNC_SERVER_WORLD_H
#define MPSYNC_SERVER_WORLD_H

#include "unit.h"

#include "elector/http/server.h"

struct server_world {
	struct server server;
	struct store_ops ops;       /* the store's, with queries of the test's own */
	struct store_ops store_ops; /* the store's own */
	struct store_query *kept;   /* the query that waits for answer_query */
	bool keeps_queries;
	bool no_session; /* there is no memory for a session's stream */
	char folder[64];
	char path[96];
};

extern struct server_world server_world;

int start_server(void **state);
int stop_server(void **state);
/* Until it is so, for a time in which any machine does it. */
#define until(condition)                                                                           \
	do {                                                                                           \
		const uint64_t give_up_ms_ = patience_ms();                                                \
		while (!(condition))                                                                       \
			settle_until(give_up_ms_);                                                             \
	} while (0)
uint64_t patience_ms(void);
/* For a moment; fails when the time is over. */
void settle_until(uint64_t give_up_ms);
void settle_for_a_moment(void);

int connect_client(void);
void client_send(int client, const char *text);
/* A request with a body of JSON, or without one (NULL); of the session 0123…, if it is of one. */
void client_ask(int client, const char *method, const char *path, const char *body, bool session);
/* Reads on until that has come, and returns all since the last call. */
const char *client_expect(int client, const char *text);
/* Does the server have nothing for it, and the connection stand? */
bool client_hears_nothing(int client);
/* The query that waits is done by the store. */
void answer_query(void);

#endif
