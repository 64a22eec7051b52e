#include "elector.h"
#include "base/identity.h"
#include "checkup.h"
#include "command_line.h"
#include "configuration.h"

#include "elector/http/openapi.h"
#include "elector/http/server.h"
#include "elector/protocol/anonymous.h"

#include "base/clock.h"
#include "base/private_key.h"
#include "base/status.h"
#include "stores/open.h"

#include <errno.h>
#include <event2/listener.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define DEFAULT_PORT 13131

/* ---- The store ---- */

/*
 * In a Pod without a token a file would make each Pod a leader of its own, in silence. kubernetes:
 * says what is missing instead (rule 27, no silent split).
 */
static const char *default_store(void)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");

	return host && *host ? "kubernetes:" : "file:";
}

static void on_engine_timer(void *context)
{
	engine_run(((struct server *)context)->engine);
}

static void on_sessions_timer(void *context)
{
	sessions_run(((struct server *)context)->sessions);
}

static void wake_engine(void *context, uint64_t at_ms)
{
	boot_timer_arm(&((struct server *)context)->loop.timer, at_ms);
}

static void wake_sessions(void *context, uint64_t at_ms)
{
	boot_timer_arm(&((struct server *)context)->sessions_timer, at_ms);
}

/* A flag wins over the URL and the environment. */
static bool options_from_flags(
    struct mpsync_options *options, const struct configuration *configuration, mpsync_error *error)
{
	return (!configuration->label_leader ||
	           mpsync_options_set(options, "label_leader", "yes", error) == MPSYNC_OK) &&
	       (!configuration->leader_events ||
	           mpsync_options_set(options, "leader_events", "yes", error) == MPSYNC_OK) &&
	       (!configuration->lease_owner || mpsync_options_set(options, "lease_owner",
	                                           configuration->lease_owner, error) == MPSYNC_OK);
}

static void say(void *context, const char *message)
{
	(void)context;
	complain(0, "%s", message);
}

static void say_nothing(void *context, const char *message)
{
	(void)context, (void)message;
}

static bool open_store(struct server *server, const struct configuration *configuration,
    const char *text, mpsync_error *error)
{
	struct engine_host host = {.owner = &sessions_owner,
	    .random_id = id_random,
	    .digest_id = id_digest,
	    .wake_at = wake_engine,
	    .on_behalf = true};
	struct mpsync_options options = {{0}};
	struct url url;
	struct store *store = NULL;

	if (!text || !url_parse(&url, text, error))
		return false;
	if (options_from_flags(&options, configuration, error) &&
	    options_inherit(&options, &url.options) &&
	    options_from_environment(&options, error) == MPSYNC_OK)
		store = store_open(&url, &options, true, &server->loop, error);
	options_clear(&options);
	if (url.scheme == URL_MEMORY)
		say(NULL, "memory: forgets everything when this process ends; for tests only");
	url_clear(&url);
	if (!store)
		return false;
	server->store_kind = store->kind;
	store->say = configuration->silent ? say_nothing : say;
	if (store->warning)
		store->say(NULL, store->warning);
	host.clock = store->clock;
	host.clock.context = server;
	server->engine = engine_new(&host, store);
	if (!server->engine)
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	return server->engine;
}

/* ---- Listening ---- */

static SSL_CTX *make_tls(const struct configuration *configuration, mpsync_error *error)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_server_method());

	if (!tls || SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) != 1)
		fail(error, MPSYNC_E_INTERNAL, "TLS cannot be set up");
	else if (!configuration->tls_cert || !configuration->tls_key || !configuration->tls_client_ca)
		fail(error, MPSYNC_E_INVALID,
		    "an address that is not loopback needs --tls-cert, --tls-key and --tls-client-ca");
	else if (!private_key_is_plain(configuration->tls_key, NULL, configuration->tls_key, error))
		; /* the error is filled */
	else if (SSL_CTX_use_certificate_chain_file(tls, configuration->tls_cert) != 1 ||
	         SSL_CTX_use_PrivateKey_file(tls, configuration->tls_key, SSL_FILETYPE_PEM) != 1)
		fail(error, MPSYNC_E_INVALID,
		    "--tls-cert and --tls-key: the files are not a certificate and its key, in PEM");
	else if (SSL_CTX_load_verify_locations(tls, configuration->tls_client_ca, NULL) != 1)
		fail(error, MPSYNC_E_INVALID, "--tls-client-ca: the file has no certificates in PEM");
	else if (SSL_CTX_set_session_id_context(
	             tls, (const unsigned char *)"mpsync", sizeof "mpsync" - 1) != 1)
		/* A TLS session may be resumed only in the context in which its client was verified. */
		fail(error, MPSYNC_E_INTERNAL, "TLS sessions cannot be set up");
	else {
		SSL_CTX_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
		return tls;
	}
	SSL_CTX_free(tls);
	return NULL;
}

/* "127.0.0.1:13131", "[::1]:13131", ":13131". */
static bool split_address(const char *text, char *address, size_t size, uint16_t *port)
{
	const char *colon = strrchr(text, ':');
	uint64_t number;
	size_t length;

	if (!colon || !parse_count(colon + 1, &number) || number > 65535)
		return false;
	length = (size_t)(colon - text);
	if (length >= 2 && text[0] == '[' && text[length - 1] == ']') {
		text++;
		length -= 2;
	}
	if (length >= size)
		return false;
	if (length == 0)
		snprintf(address, size, "127.0.0.1");
	else
		snprintf(address, size, "%.*s", (int)length, text);
	*port = (uint16_t)number;
	return true;
}

static bool is_loopback(const char *address)
{
	return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

static bool listen_on(struct server *server, const struct configuration *configuration,
    const char *text, bool status_only, mpsync_error *error)
{
	char address[128];
	uint16_t port;
	SSL_CTX *tls = NULL;
	bool done;

	if (*text == '/' || strncmp(text, "unix:", 5) == 0)
		return server_listen_unix(server, *text == '/' ? text : text + 5, error);
	if (!split_address(text, address, sizeof address, &port)) {
		fail(error, MPSYNC_E_INVALID,
		    "--listen %.60s: write 127.0.0.1:13131, [::1]:13131 or /PATH.sock", text);
		return false;
	}
	if (!is_loopback(address) && !status_only) {
		tls = make_tls(configuration, error);
		if (!tls)
			return false;
	}
	done = server_listen_tcp(server, address, port, status_only, tls, error);
	/* "Every address" is IPv4's alone where the kernel has no IPv6. */
	if (!done && strcmp(address, "::") == 0 && error->status == MPSYNC_E_UNSUPPORTED)
		done = server_listen_tcp(server, "0.0.0.0", port, status_only, tls, error);
	SSL_CTX_free(tls);
	return done;
}

static bool listen_on_defaults(struct server *server, mpsync_error *error)
{
	if (!server_listen_tcp(server, "127.0.0.1", DEFAULT_PORT, false, NULL, error))
		return false;
	if (server_listen_tcp(server, "::1", DEFAULT_PORT, false, NULL, error))
		return true;
	if (error->status != MPSYNC_E_UNSUPPORTED)
		return false;
	complain(0, "warning: no IPv6 here: %s", error->message);
	return true;
}

static bool listen_on_all(
    struct server *server, const struct configuration *configuration, mpsync_error *error)
{
	bool good = configuration->listen_count > 0 || listen_on_defaults(server, error);

	for (size_t i = 0; good && i < configuration->listen_count; i++)
		good = listen_on(server, configuration, configuration->listen[i], false, error);
	if (good && configuration->status_listen)
		good = listen_on(server, configuration, configuration->status_listen, true, error);
	return good;
}

/* ---- Running ---- */

static void on_stop(evutil_socket_t signal_number, short what, void *context)
{
	struct server *server = context;

	(void)signal_number, (void)what;
	/*
	 * Nothing is released: rights run on, and the next elector takes them over (rule 9, a restart
	 * loses nothing and invents nothing).
	 */
	sessions_stop(server->sessions);
	streams_close(server);
	event_base_loopexit(server->loop.base, &(struct timeval){0, 10000});
}

static bool make_sessions(
    struct server *server, const struct configuration *configuration, mpsync_error *error)
{
	struct sessions_host host = {.answer = reply_answer,
	    .send = stream_send,
	    .is_behind = stream_is_behind,
	    .end = stream_end,
	    .wake_at = wake_sessions,
	    .log = configuration->silent ? say_nothing : say,
	    .context = server,
	    .most_sessions = configuration->most_connections};
	struct anonymous anonymous;
	char warning[ANONYMOUS_WARNING_SIZE];

	if (!anonymous_open(&anonymous, warning) || !id_random(&server->instance) ||
	    !id_random(&host.seed) ||
	    !boot_timer_init(&server->sessions_timer, server->loop.base, on_sessions_timer, server)) {
		fail(error, MPSYNC_E_INTERNAL, "no descriptors (ulimit -n), or no random numbers");
		return false;
	}
	if (*warning)
		host.log(NULL, warning);
	server->sessions = sessions_new(server->engine, &engine_store(server->engine)->clock, &host,
	    &server->instance, &anonymous, configuration->most_waiters);
	if (!server->sessions)
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	return server->sessions;
}

static void raise_descriptor_limit(uint64_t wanted)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = wanted + 64 < limit.rlim_max ? wanted + 64 : limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void serve(
    struct server *server, const struct configuration *configuration, const char *store)
{
	struct checkup checkup = {0};
	struct event *stop_by_term = evsignal_new(server->loop.base, SIGTERM, on_stop, server);
	struct event *stop_by_int = evsignal_new(server->loop.base, SIGINT, on_stop, server);

	signal(SIGPIPE, SIG_IGN);
	if (stop_by_term && stop_by_int && event_add(stop_by_term, NULL) == 0 &&
	    event_add(stop_by_int, NULL) == 0) {
		complain(0, "elector %s: locks in %s", mpsync_version(), store);
		if (!configuration->silent)
			(void)!checkup_begin(&checkup, server->loop.base, engine_store(server->engine), say);
		event_base_loop(server->loop.base, EVLOOP_NO_EXIT_ON_EMPTY);
	}
	checkup_end(&checkup);
	if (stop_by_term)
		event_free(stop_by_term);
	if (stop_by_int)
		event_free(stop_by_int);
}

static void close_server(struct server *server)
{
	server_close(server);
	engine_free(server->engine);
	sessions_free(server->sessions);
	boot_timer_clear(&server->sessions_timer);
	loop_clear(&server->loop);
	connections_free(server->connections);
}

static int run(struct configuration *configuration)
{
	struct server server = {
	    .loop.timer.descriptor = -1,
	    .sessions_timer.descriptor = -1,
	    .hosts = configuration->hosts,
	    .allow_force = configuration->allow_force,
	    .status_locks = configuration->status_locks,
	};
	mpsync_error error = {0};
	const char *store = configuration->store ? configuration->store : default_store();
	int code = EXIT_STORE;

	raise_descriptor_limit(configuration->most_connections);
	server.connections = connections_new(configuration->most_connections);
	if (!server.connections || !loop_init(&server.loop, true, on_engine_timer, &server))
		return complain(EXIT_USAGE, "no descriptors (ulimit -n) or memory for an event loop");
	event_base_priority_init(server.loop.base, 2); /* streams, then everything else */
	if (open_store(&server, configuration, store, &error)) {
		code = EXIT_USAGE;
		if (make_sessions(&server, configuration, &error) &&
		    listen_on_all(&server, configuration, &error)) {
			serve(&server, configuration, store);
			code = EXIT_SUCCESS;
		}
	}
	if (code == EXIT_STORE)
		code = exit_code_of(error.status);
	if (code != EXIT_SUCCESS)
		complain(code, "%s", error.message);
	close_server(&server);
	return code;
}

int elector_main(int argc, char **argv)
{
	struct configuration configuration;
	const int code = configure(&configuration, argc, argv);

	if (code != 0)
		return code;
	if (configuration.help)
		configuration_help();
	else if (configuration.version)
		printf("mpsync %s\n", mpsync_version());
	else if (configuration.print_openapi)
		fputs(openapi_text, stdout);
	else
		return run(&configuration);
	return EXIT_SUCCESS;
}
