#include "configuration.h"
#include "base/options.h"
#include "command_line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	LISTEN = 1000,
	HOST,
	STORE,
	STATUS_LISTEN,
	STATUS_LOCKS,
	TLS_CERT,
	TLS_KEY,
	TLS_CLIENT_CA,
	ALLOW_FORCE,
	MAX_CONNECTIONS,
	MAX_WAITERS,
	LABEL_LEADER,
	LEADER_EVENTS,
	LEASE_OWNER,
	LOG,
	PRINT_OPENAPI
};

static const struct flag flags[] = {
    {"store", "URL", STORE, 1, "where locks live (in a Pod kubernetes:, else file:)"},
    {"listen", "ADDRESS", LISTEN, 1,
        "127.0.0.1:13131, [::1]:13131 or /PATH.sock; may be given\nmore than once (the first two)"},
    {"host", "NAME:PORT", HOST, 1, "a further name that callers may use for it"},
    {"status-listen", "ADDRESS", STATUS_LISTEN, 1,
        "serve /healthz, /readyz and /metrics there (no)"},
    {"status-locks", NULL, STATUS_LOCKS, 1, "serve lists of locks there too (no)"},
    {"tls-cert", "FILE", TLS_CERT, 1, "needed where an address is not loopback: the certificate,"},
    {"tls-key", "FILE", TLS_KEY, 1, "its key,"},
    {"tls-client-ca", "FILE", TLS_CLIENT_CA, 1, "and the authorities for clients' certificates"},
    {"allow-force", NULL, ALLOW_FORCE, 1, "let callers take a name from its holder (no)"},
    {"max-connections", "COUNT", MAX_CONNECTIONS, 1, "the most connections, and sessions (10000)"},
    {"max-waiters", "COUNT", MAX_WAITERS, 1, "the most requests that wait (100000)"},
    {"label-leader", NULL, LABEL_LEADER, 1, "Kubernetes: label the Pod while it leads (no)"},
    {"leader-events", NULL, LEADER_EVENTS, 1, "Kubernetes: write Events that tell who leads (no)"},
    {"lease-owner", "OBJECT", LEASE_OWNER, 1,
        "Kubernetes: the object that election Leases belong to,\nas apps/v1/deployments/web"},
    {"log", "LEVEL", LOG, 1, "error: report only why it ends; warn, info, debug (warn)"},
    {"print-openapi", NULL, PRINT_OPENAPI, 1, "print the OpenAPI description of its HTTP, and end"},
    {"help", NULL, FLAG_HELP, 1, "this text"},
    {"version", NULL, FLAG_VERSION, 1, "print the version"},
};

#define FLAG_COUNT (sizeof flags / sizeof *flags)

bool parse_count(const char *text, uint64_t *count)
{
	char *end;

	errno = 0;
	*count = strtoull(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && *count > 0;
}

static bool take_log_level(struct configuration *configuration, const char *level)
{
	struct mpsync_options options = {{0}};
	const bool known = mpsync_options_set(&options, "log", level, NULL) == MPSYNC_OK;

	configuration->silent = known && strcmp(level, "error") == 0;
	options_clear(&options);
	return known;
}

static bool take_flag(struct configuration *configuration, int flag)
{
	switch (flag) {
	case LISTEN:
		if (configuration->listen_count == MOST_LISTENERS)
			return false;
		configuration->listen[configuration->listen_count++] = optarg;
		return true;
	case HOST:
		if (configuration->host_count == MOST_HOSTS)
			return false;
		configuration->hosts[configuration->host_count++] = optarg;
		return true;
	case STORE:
		configuration->store = optarg;
		return true;
	case STATUS_LISTEN:
		configuration->status_listen = optarg;
		return true;
	case STATUS_LOCKS:
		configuration->status_locks = true;
		return true;
	case TLS_CERT:
		configuration->tls_cert = optarg;
		return true;
	case TLS_KEY:
		configuration->tls_key = optarg;
		return true;
	case TLS_CLIENT_CA:
		configuration->tls_client_ca = optarg;
		return true;
	case ALLOW_FORCE:
		configuration->allow_force = true;
		return true;
	case MAX_CONNECTIONS:
		return parse_count(optarg, &configuration->most_connections);
	case MAX_WAITERS:
		return parse_count(optarg, &configuration->most_waiters);
	case LABEL_LEADER:
		configuration->label_leader = true;
		return true;
	case LEADER_EVENTS:
		configuration->leader_events = true;
		return true;
	case LEASE_OWNER:
		configuration->lease_owner = optarg;
		return true;
	case LOG:
		return take_log_level(configuration, optarg);
	case PRINT_OPENAPI:
		configuration->print_openapi = true;
		return true;
	case FLAG_HELP:
		configuration->help = true;
		return true;
	case FLAG_VERSION:
		configuration->version = true;
		return true;
	default:
		return false;
	}
}

static const char *name_of(int id)
{
	for (size_t i = 0; i < FLAG_COUNT; i++)
		if (flags[i].id == id)
			return flags[i].name;
	return "";
}

/* 0, or the exit code after an error was printed. */
int configure(struct configuration *configuration, int argc, char **argv)
{
	struct option options[FLAG_COUNT + 1];
	int flag;

	*configuration = (struct configuration){.most_connections = 10000, .most_waiters = 100000};
	flags_to_options(flags, FLAG_COUNT, options);
	optind = 0;
	while ((flag = flags_next(argc, argv, options, "elector")) != FLAG_NONE) {
		if (flag == FLAG_WRONG)
			return EXIT_USAGE;
		if (!take_flag(configuration, flag))
			return complain(EXIT_USAGE,
			    "--%s: \"%s\" is not understood, or is one too many; see mpsync elector --help",
			    name_of(flag), optarg);
	}
	if (optind < argc)
		return complain(EXIT_USAGE, "the elector takes options only, not \"%s\"", argv[optind]);
	return 0;
}

void configuration_help(void)
{
	puts("usage: mpsync elector [OPTION…]\n\n"
	     "Serves locks over HTTP to the programs next to it, whatever their language.\n\noptions:");
	flags_print(flags, FLAG_COUNT, 1);
	puts("\nEvery other option of the store goes into its URL: --store "
	     "'etcd://HOST?user=me'.\n\n"
	     "examples:\n"
	     "  mpsync elector\n"
	     "  mpsync elector --store file:/var/lib/shop/locks.db --listen /run/mpsync.sock");
}
