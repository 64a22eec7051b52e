/* The elector's command line, taken apart. */
#ifndef MPSYNC_ELECTOR_CONFIGURATION_H
#define MPSYNC_ELECTOR_CONFIGURATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MOST_LISTENERS 16
#define MOST_HOSTS     16

struct configuration {
	const char *listen[MOST_LISTENERS];
	size_t listen_count;
	char *hosts[MOST_HOSTS + 1];
	size_t host_count;
	const char *store;
	const char *status_listen;
	const char *tls_cert;
	const char *tls_key;
	const char *tls_client_ca;
	uint64_t most_connections;
	uint64_t most_waiters;
	bool allow_force;
	bool status_locks;
	bool label_leader;
	bool leader_events;
	const char *lease_owner;
	bool print_openapi;
	bool help;
	bool version;
	bool silent; /* say only why the elector ends */
};

/* 0, or the exit code after an error was printed. */
int configure(struct configuration *configuration, int argc, char **argv);

/* Print the flags and their meanings to standard output. */
void configuration_help(void);

/* True for a whole number above 0. */
bool parse_count(const char *text, uint64_t *count);

#endif
