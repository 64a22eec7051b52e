/*
 * etcd's gRPC over one HTTP/2 connection to one member; when that member is silent, to the next
 * one.
 */
#include "rpc.h"

#include "base/status.h"
#include "config.h"
#include "net/requests.h"
#include "proto.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOGIN_TIMEOUT_MS     5000
#define MOST_STALE_TOKENS    3
#define GRPC_INVALID         3
#define GRPC_NOT_FOUND       5
#define GRPC_FORBIDDEN       7
#define GRPC_PRECONDITION    9
#define GRPC_UNIMPLEMENTED   12
#define GRPC_UNAUTHENTICATED 16

/* A call or a watch; if it is neither, the login. */
struct flight {
	struct request base;
	struct etcd_rpc *rpc;
	struct etcd_call *call;
	struct etcd_watch *watch;
	unsigned token_number; /* of the token that it was sent with */
	unsigned stale_tokens; /* how many tokens were refused to it */
};

LIST_HEAD(unsent_calls, etcd_call);
LIST_HEAD(unsent_watches, etcd_watch);

struct etcd_rpc {
	struct etcd_config config;
	struct requests *requests;
	size_t refused;  /* members in a row that refused the connection, since the start */
	bool answered;   /* an etcd has answered at least once */
	unsigned failed; /* the connection on which the last request got no answer; 0: none */
	unsigned broken; /* the newest connection that is not used any more; 0: none */
	struct unsent_calls unsent; /* requests that could not be sent for want of memory */
	struct unsent_watches unwatched;
	struct event *later; /* tells those */
	char *token;
	unsigned token_number; /* of the present token, or the last one */
	struct flight *login;
	struct etcd_answer no_token; /* why there is no token, for those who waited for it */
	char refusal[300];
	char message[300];
};

static struct flight *flight_of(struct request *request)
{
	return (struct flight *)request;
}

/* ---- Members: each connection goes to the next one ---- */

static const char *member_of(const struct etcd_rpc *rpc, unsigned connection)
{
	return rpc->config.members[(connection - 1) % rpc->config.member_count];
}

static struct http_settings settings_of(void *context, unsigned connection)
{
	const struct etcd_rpc *rpc = context;
	struct http_settings settings =
	    http_settings_of(member_of(rpc, connection), &rpc->config.options);

	settings.shared = true;
	return settings;
}

void etcd_next_member(struct etcd_rpc *rpc)
{
	/* Otherwise it was replaced already. */
	if (rpc->failed == requests_connection(rpc->requests))
		requests_reconnect(rpc->requests);
}

/* Nothing more is sent on the connection that this answer came by. */
static void note_broken(const struct flight *flight)
{
	if (flight->base.connection_number > flight->rpc->broken)
		flight->rpc->broken = flight->base.connection_number;
}

static void leave_broken(struct etcd_rpc *rpc)
{
	if (rpc->broken == requests_connection(rpc->requests))
		requests_reconnect(rpc->requests);
}

/* ---- Answers ---- */

static const char *explain(const struct flight *flight, const struct http_answer *http)
{
	struct etcd_rpc *rpc = flight->rpc;
	const char *member = member_of(rpc, flight->base.connection_number);

	if (http->status == 0)
		snprintf(rpc->message, sizeof rpc->message, "no etcd answers at %.100s: %.150s", member,
		    http->problem);
	else if (http->grpc_status < 0)
		snprintf(rpc->message, sizeof rpc->message,
		    "what answers at %.100s is no etcd with the v3 API (HTTP %ld, no gRPC)", member,
		    http->status);
	else
		snprintf(rpc->message, sizeof rpc->message, "etcd at %.100s: %.150s", member,
		    *http->grpc_message ? http->grpc_message : "the connection broke");
	return rpc->message;
}

static struct etcd_answer refused(enum mpsync_status status)
{
	return (struct etcd_answer){.result = ETCD_REFUSED, .status = status};
}

static struct etcd_answer unanswered(struct etcd_rpc *rpc, const struct http_answer *http)
{
	/* Where no member has ever answered there may be no etcd: that is an error, not an outage. */
	if (http->refused && !rpc->answered && ++rpc->refused >= rpc->config.member_count)
		return refused(http->untrusted ? MPSYNC_E_UNAUTHENTICATED : MPSYNC_E_UNREACHABLE);
	return (struct etcd_answer){.result = ETCD_UNKNOWN, .status = MPSYNC_E_UNREACHABLE};
}

/* The meaning of an answer whose gRPC status is not 0. */
static struct etcd_answer problem_of(struct flight *flight, const struct http_answer *http)
{
	if (http->status != 0 && http->grpc_status < 0 && flight->base.first && !flight->rpc->answered)
		return refused(MPSYNC_E_INVALID);
	switch (http->grpc_status) {
	case GRPC_NOT_FOUND:
		return (struct etcd_answer){.result = ETCD_NO_LEASE, .status = MPSYNC_E_LOST};
	case GRPC_UNIMPLEMENTED:
		return refused(MPSYNC_E_UNSUPPORTED);
	case GRPC_FORBIDDEN:
		return refused(MPSYNC_E_FORBIDDEN);
	case GRPC_INVALID: /* etcd's answer when it wants a user */
		return refused(MPSYNC_E_UNAUTHENTICATED);
	case GRPC_UNAUTHENTICATED:
		if (!flight->rpc->config.user)
			return refused(MPSYNC_E_UNAUTHENTICATED);
		break; /* etcd made the token itself: its members do not agree yet */
	default:
		break;
	}
	return unanswered(flight->rpc, http);
}

/*
 * The token has expired, or its member has forgotten it: a new one costs one login. Other requests
 * may have been refused with the same token, and have a new one by now.
 */
static bool needs_other_token(struct flight *flight, const struct http_answer *http)
{
	struct etcd_rpc *rpc = flight->rpc;

	if (http->grpc_status != GRPC_UNAUTHENTICATED || !rpc->config.user ||
	    ++flight->stale_tokens > MOST_STALE_TOKENS)
		return false;
	if (flight->token_number == rpc->token_number) {
		free(rpc->token);
		rpc->token = NULL;
	}
	return true;
}

/* False: the request is sent again. */
static bool on_call_answered(struct flight *flight, const struct http_answer *http)
{
	struct etcd_rpc *rpc = flight->rpc;
	struct etcd_call *call = flight->call;
	const uint8_t *message = (const uint8_t *)http->body;
	struct etcd_answer problem;

	if (http->grpc_status >= 0)
		rpc->answered = true;
	else
		note_broken(flight);
	if (needs_other_token(flight, http))
		return false;
	problem = problem_of(flight, http);
	problem.message = explain(flight, http);
	if (problem.result == ETCD_UNKNOWN)
		rpc->failed = flight->base.connection_number;
	call->flight = NULL;
	if (http->grpc_status != 0 || !etcd_decode(call, message, http->body_size))
		call->done(call, &problem);
	return true;
}

static void fail_call(struct etcd_call *call, const struct etcd_answer *problem)
{
	call->flight = NULL;
	call->done(call, problem);
}

static void end_watch(struct etcd_watch *watch)
{
	watch->flight = NULL;
	watch->ended(watch);
}

static size_t message_size(const char *bytes, size_t size, size_t seen)
{
	(void)seen;
	return etcd_message_size((const uint8_t *)bytes, size);
}

static bool on_message(struct request *request, const char *bytes, size_t size)
{
	return etcd_decode_watch(&flight_of(request)->watch, (const uint8_t *)bytes, size);
}

/* ---- For want of memory ---- */

static const struct etcd_answer without_memory = {
    .result = ETCD_UNKNOWN, .status = MPSYNC_E_NO_MEMORY, .message = "out of memory"};

static void fail_call_later(struct etcd_rpc *rpc, struct etcd_call *call)
{
	call->flight = call;
	call->unsent = true;
	LIST_INSERT_HEAD(&rpc->unsent, call, entry);
	event_active(rpc->later, EV_TIMEOUT, 0);
}

static void fail_watch_later(struct etcd_rpc *rpc, struct etcd_watch *watch)
{
	watch->flight = watch;
	watch->unsent = true;
	LIST_INSERT_HEAD(&rpc->unwatched, watch, entry);
	event_active(rpc->later, EV_TIMEOUT, 0);
}

static void on_later(evutil_socket_t descriptor, short what, void *context)
{
	struct etcd_rpc *rpc = context;
	struct etcd_call *call;
	struct etcd_watch *watch;

	(void)descriptor, (void)what;
	while ((call = LIST_FIRST(&rpc->unsent))) {
		LIST_REMOVE(call, entry);
		call->unsent = false;
		fail_call(call, &without_memory);
	}
	while ((watch = LIST_FIRST(&rpc->unwatched))) {
		LIST_REMOVE(watch, entry);
		watch->unsent = false;
		end_watch(watch);
	}
}

/* ---- The login ---- */

/*
 * True if etcd rejected the credentials themselves. A member that has lost its quorum answers with
 * other codes, and then another member is tried.
 */
static bool login_is_refused(const struct http_answer *http)
{
	return http->grpc_status == GRPC_INVALID || http->grpc_status == GRPC_FORBIDDEN ||
	       http->grpc_status == GRPC_PRECONDITION || http->grpc_status == GRPC_UNAUTHENTICATED ||
	       (http->status == 200 && http->grpc_status < 0);
}

static void log_in(struct etcd_rpc *rpc);

/* Calls that wait for the token are told why there is none; watches try again later. */
static void refuse_waiting(struct etcd_rpc *rpc, const struct etcd_answer *problem)
{
	rpc->no_token = *problem;
	snprintf(rpc->refusal, sizeof rpc->refusal, "%s", problem->message);
	rpc->no_token.message = rpc->refusal;
	requests_refuse(rpc->requests);
}

static void on_login_answered(struct flight *login, const struct http_answer *http)
{
	struct etcd_rpc *rpc = login->rpc;
	const uint8_t *message = (const uint8_t *)http->body;
	const size_t size = etcd_message_size(message, http->body_size);
	struct etcd_answer problem;

	if (http->grpc_status == 0 && size > 0 && size != SIZE_MAX)
		rpc->token = etcd_decode_authenticate(message, size);
	if (rpc->token) {
		rpc->token_number++;
		requests_authorized(rpc->requests);
		return;
	}
	if (http->grpc_status < 0)
		note_broken(login);
	rpc->failed = login->base.connection_number;
	/* The password was changed, as it should be from time to time: read the file again. */
	if (login_is_refused(http) && etcd_config_read_password(&rpc->config)) {
		log_in(rpc);
		return;
	}
	problem = login_is_refused(http)
	              ? refused(MPSYNC_E_UNAUTHENTICATED)
	              : (struct etcd_answer){.result = ETCD_UNKNOWN, .status = MPSYNC_E_UNREACHABLE};
	problem.message = explain(login, http);
	refuse_waiting(rpc, &problem);
}

static void on_login_done(struct flight *login, const struct http_answer *http)
{
	login->rpc->login = NULL;
	if (http)
		on_login_answered(login, http);
	else
		refuse_waiting(login->rpc, &without_memory);
}

/* ---- Requests ---- */

static bool on_done(struct request *request, enum request_end end, const struct http_answer *heard)
{
	struct flight *flight = flight_of(request);
	const struct etcd_answer *problem =
	    end == REQUEST_UNAUTHORIZED ? &flight->rpc->no_token : &without_memory;

	if (flight->call && heard)
		return on_call_answered(flight, heard);
	if (flight->call)
		fail_call(flight->call, problem);
	else if (flight->watch)
		end_watch(flight->watch);
	else
		on_login_done(flight, heard);
	return true;
}

static struct flight *flight_new(struct etcd_rpc *rpc, struct etcd_bytes message)
{
	struct flight *flight = message.bytes ? calloc(1, sizeof *flight) : NULL;

	if (flight)
		flight->rpc = rpc;
	else
		free(message.bytes);
	return flight;
}

/* Takes the message over. */
static void send_flight(
    struct flight *flight, const char *path, struct etcd_bytes message, uint64_t timeout_ms)
{
	requests_send(flight->rpc->requests, &flight->base,
	    &(struct http_request){.method = "POST",
	        .path = path,
	        .body = (const char *)message.bytes,
	        .body_size = message.size,
	        .grpc = true,
	        .timeout_ms = timeout_ms});
	free(message.bytes);
}

/* Calls that wait for the token hear how the login ends. */
static void log_in(struct etcd_rpc *rpc)
{
	const struct etcd_bytes message =
	    etcd_encode_authenticate(rpc->config.user, rpc->config.password);
	struct flight *login = flight_new(rpc, message);

	if (!login) {
		refuse_waiting(rpc, &without_memory);
		return;
	}
	leave_broken(rpc);
	rpc->login = login;
	login->base.open = true;
	send_flight(login, ETCD_AUTHENTICATE_PATH, message, LOGIN_TIMEOUT_MS);
}

static enum request_permit authorize(
    void *context, struct request *request, struct http_request *http)
{
	struct etcd_rpc *rpc = context;

	if (rpc->config.user && !rpc->token) {
		if (!rpc->login)
			log_in(rpc);
		return rpc->login ? REQUEST_HAS_TO_WAIT : REQUEST_MAY_NOT_GO;
	}
	leave_broken(rpc);
	http->token = rpc->token;
	flight_of(request)->token_number = rpc->token_number;
	return REQUEST_MAY_GO;
}

void etcd_send(struct etcd_rpc *rpc, struct etcd_call *call)
{
	const struct etcd_bytes message = etcd_encode(call);
	struct flight *flight = flight_new(rpc, message);

	if (!flight) {
		fail_call_later(rpc, call);
		return;
	}
	call->flight = flight;
	flight->call = call;
	send_flight(flight, etcd_path_of(call->kind), message, call->timeout_ms);
}

void etcd_watch(struct etcd_rpc *rpc, struct etcd_watch *watch)
{
	const struct etcd_bytes message = etcd_encode_watch(watch);
	struct flight *flight = flight_new(rpc, message);

	if (!flight) {
		fail_watch_later(rpc, watch);
		return;
	}
	watch->flight = flight;
	flight->watch = watch;
	flight->base.stream = true;
	send_flight(flight, ETCD_WATCH_PATH, message, 0);
}

void etcd_cancel(struct etcd_call *call)
{
	struct flight *flight = call->unsent ? NULL : call->flight;

	if (call->unsent)
		LIST_REMOVE(call, entry);
	if (flight)
		request_cancel(&flight->base);
	call->unsent = false;
	call->flight = NULL;
}

void etcd_unwatch(struct etcd_watch *watch)
{
	struct flight *flight = watch->unsent ? NULL : watch->flight;

	if (watch->unsent)
		LIST_REMOVE(watch, entry);
	if (flight) {
		flight->watch = NULL;
		request_cancel(&flight->base);
	}
	watch->unsent = false;
	watch->flight = NULL;
}

/* ---- Opening and closing ---- */

static const struct requests_service service = {
    settings_of, authorize, message_size, on_message, on_done};

struct etcd_rpc *etcd_rpc_new(const struct url *url, const struct mpsync_options *options,
    struct loop *loop, const struct store_clock *clock, mpsync_error *error)
{
	struct etcd_rpc *rpc = calloc(1, sizeof *rpc);

	(void)clock;
	if (rpc) {
		LIST_INIT(&rpc->unsent);
		LIST_INIT(&rpc->unwatched);
		if (!etcd_config_read(&rpc->config, url, options, error)) {
			etcd_rpc_free(rpc);
			return NULL;
		}
		rpc->later = evtimer_new(loop->base, on_later, rpc);
		rpc->requests = requests_new(loop, &service, rpc);
		if (rpc->later && rpc->requests && requests_reconnect(rpc->requests))
			return rpc;
		etcd_rpc_free(rpc);
	}
	fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	return NULL;
}

void etcd_rpc_free(struct etcd_rpc *rpc)
{
	requests_free(rpc->requests);
	if (rpc->later)
		event_free(rpc->later);
	etcd_config_clear(&rpc->config);
	free(rpc->token);
	free(rpc);
}
