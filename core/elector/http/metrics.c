/*
 * Metrics in Prometheus' text format. They name no locks, since there is no bound on how many names
 * there are.
 */
#include "server.h"

#include <inttypes.h>
#include <stdio.h>

static void gauge(FILE *out, const char *name, const char *help, uint64_t value)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s gauge\n%s %" PRIu64 "\n", name, help, name, name, value);
}

static void counter(FILE *out, const char *name, const char *help, uint64_t value)
{
	fprintf(
	    out, "# HELP %s %s\n# TYPE %s counter\n%s %" PRIu64 "\n", name, help, name, name, value);
}

static void losses(FILE *out, const struct sessions_counters *counters)
{
	fputs("# HELP mpsync_losses_total Grants that ended unasked.\n"
	      "# TYPE mpsync_losses_total counter\n",
	    out);
	for (int32_t reason = MPSYNC_REASON_EXPIRED; reason <= MPSYNC_REASON_OTHER_ELECTOR; reason++)
		fprintf(out, "mpsync_losses_total{reason=\"%s\"} %" PRIu64 "\n", mpsync_reason_text(reason),
		    counters->losses[reason]);
}

static void requests(FILE *out, const struct server *server)
{
	fputs("# HELP mpsync_http_requests_total Requests answered.\n"
	      "# TYPE mpsync_http_requests_total counter\n",
	    out);
	for (size_t i = 0; i < 5; i++)
		fprintf(out, "mpsync_http_requests_total{code=\"%zuxx\"} %" PRIu64 "\n", i + 1,
		    server->requests[i]);
}

char *metrics_text(const struct server *server, size_t *size)
{
	const struct sessions_counters *counters = sessions_counters(server->sessions);
	char *text = NULL;
	FILE *out = open_memstream(&text, size);

	if (!out)
		return NULL;
	fprintf(out,
	    "# HELP mpsync_build_info The version and its store.\n# TYPE mpsync_build_info gauge\n"
	    "mpsync_build_info{version=\"%s\",store=\"%s\"} 1\n",
	    mpsync_version(), server->store_kind);
	gauge(out, "mpsync_held", "Grants held through this elector.", counters->held);
	gauge(out, "mpsync_waiters", "Claims that wait.", counters->waiters);
	gauge(out, "mpsync_sessions", "Clients with a session.", counters->sessions);
	gauge(out, "mpsync_streams", "Open session streams.", counters->streams);
	counter(out, "mpsync_grants_total", "Grants given.", counters->grants);
	counter(out, "mpsync_releases_total", "Grants released.", counters->releases);
	losses(out, counters);
	fputs("# HELP mpsync_takeovers_total Why names were given on.\n"
	      "# TYPE mpsync_takeovers_total counter\n",
	    out);
	fprintf(out, "mpsync_takeovers_total{cause=\"goodbye\"} %" PRIu64 "\n",
	    counters->takeovers_goodbye);
	fprintf(
	    out, "mpsync_takeovers_total{cause=\"proof\"} %" PRIu64 "\n", counters->takeovers_proof);
	fprintf(
	    out, "mpsync_takeovers_total{cause=\"expiry\"} %" PRIu64 "\n", counters->takeovers_expiry);
	requests(out, server);
	fclose(out);
	return text;
}
