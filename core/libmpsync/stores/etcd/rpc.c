/* etcd's gRPC on one HTTP/2 connection to one member, and to the next when that one is silent. */
#include "rpc.h"

#include "base/status.h"
#include "config.h"
#include "net/http.h"
#include "proto.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define LOGIN_TIMEOUT_MS     5000
#define MOST_STALE_TOKENS    3
#define GRPC_INVALID         3
#define GRPC_NOT_FOUND       5
#define GRPC_FORBIDDEN       7
#define GRPC_PRECONDITION    9
#define GRPC_UNIMPLEMENTED   12
#define GRPC_UNAUTHENTICATED 16

/* The connection to one member. One that was left lives until nothing is under way on it. */
struct link {
	struct link *next;
	struct etcd_rpc *rpc;
	struct http *http;
	const char *member; /* the rpc's */
	size_t flights;
	bool used;
	bool broken; /* nothing more is sent on it */
};

TAILQ_HEAD(flight_list, flight);

/* A call, or a watch, under way. */
struct flight {
	TAILQ_ENTRY(flight) entry;
	struct flight_list *list; /* that it is in */
	struct etcd_rpc *rpc;
	struct link *link; /* NULL: it waits for the login, or its watch has ended */
	struct http_call *http;
	struct etcd_call *call;
	struct etcd_watch *watch;
	struct etcd_bytes request;
	uint64_t timeout_ms;
	unsigned token_number; /* of the token that it was sent with */
	unsigned stale_tokens; /* with how many it was refused */
	uint8_t *received;     /* a watch's, up to now */
	size_t received_size;
	bool first;   /* of its link: the one that greets the member in HTTP/2 */
	bool telling; /* freed, or ended, when that is over */
	bool dead;
};

struct etcd_rpc {
	struct loop *loop;
	struct etcd_config config;
	size_t member;       /* the present one */
	size_t refused;      /* members that could not be reached, in a row, since the start */
	bool answered;       /* by an etcd, once */
	struct link *links;  /* the first is the present one */
	struct link *failed; /* where the last request went unanswered */
	struct flight_list flights;
	struct flight_list waiting; /* for the login */
	struct flight_list ended;   /* watches that have not been told yet */
	struct etcd_call *unsent;   /* for want of memory */
	struct etcd_watch *unwatched;
	struct event *later; /* what must not be done inside of a call */
	char *token;
	unsigned token_number; /* of the present, or the last one */
	struct http_call *login;
	struct link *login_link; /* while it is under way */
	char message[300];
};

/* ---- Links ---- */

static struct link *link_new(struct etcd_rpc *rpc)
{
	struct http_settings settings =
	    http_settings_of(rpc->config.members[rpc->member], &rpc->config.options);
	struct link *link = calloc(1, sizeof *link);

	if (!link)
		return NULL;
	settings.shared = true;
	link->rpc = rpc;
	link->member = rpc->config.members[rpc->member];
	link->http = http_new(rpc->loop, &settings);
	if (!link->http) {
		free(link);
		return NULL;
	}
	link->next = rpc->links;
	rpc->links = link;
	return link;
}

static void do_later(struct etcd_rpc *rpc)
{
	event_active(rpc->later, EV_TIMEOUT, 0);
}

static void leave_link(struct link **link)
{
	struct etcd_rpc *rpc = *link ? (*link)->rpc : NULL;

	if (rpc && --(*link)->flights == 0 && *link != rpc->links)
		do_later(rpc);
	*link = NULL;
}

static void move(struct flight *flight, struct flight_list *list)
{
	if (flight->list)
		TAILQ_REMOVE(flight->list, flight, entry);
	flight->list = list;
	if (list)
		TAILQ_INSERT_TAIL(list, flight, entry);
}

static void drop_flight(struct flight *flight)
{
	if (flight->telling) {
		flight->dead = true;
		return;
	}
	move(flight, NULL);
	http_cancel(flight->http);
	leave_link(&flight->link);
	free(flight->request.bytes);
	free(flight->received);
	free(flight);
}

static void release_links(struct etcd_rpc *rpc)
{
	struct link **entry = rpc->links ? &rpc->links->next : &rpc->links;

	while (*entry) {
		struct link *link = *entry;

		if (link->flights > 0) {
			entry = &link->next;
			continue;
		}
		*entry = link->next;
		if (rpc->failed == link)
			rpc->failed = NULL;
		http_free(link->http);
		free(link);
	}
}

static void tell_unsent(struct etcd_rpc *rpc)
{
	while (rpc->unsent) {
		struct etcd_call *call = rpc->unsent;

		rpc->unsent = call->next_unsent;
		call->flight = NULL;
		call->unsent_by = NULL;
		call->done(call,
		    &(struct etcd_answer){
		        .result = ETCD_UNKNOWN, .status = MPSYNC_E_NO_MEMORY, .message = "out of memory"});
	}
	while (rpc->unwatched) {
		struct etcd_watch *watch = rpc->unwatched;

		rpc->unwatched = watch->next_unsent;
		watch->flight = NULL;
		watch->unsent_by = NULL;
		watch->ended(watch);
	}
}

static void on_later(evutil_socket_t descriptor, short what, void *context)
{
	struct etcd_rpc *rpc = context;
	struct flight *flight;

	(void)descriptor, (void)what;
	tell_unsent(rpc);
	while ((flight = TAILQ_FIRST(&rpc->ended))) {
		struct etcd_watch *watch = flight->watch;

		drop_flight(flight);
		watch->flight = NULL;
		watch->ended(watch);
	}
	release_links(rpc);
}

static void end_watch_later(struct flight *flight)
{
	move(flight, &flight->rpc->ended);
	do_later(flight->rpc);
	if (flight->telling)
		return;
	http_cancel(flight->http);
	flight->http = NULL;
	leave_link(&flight->link);
}

static void change_link(struct etcd_rpc *rpc)
{
	struct link *former = rpc->links;
	const size_t member = rpc->member;

	rpc->member = (rpc->member + 1) % rpc->config.member_count;
	if (!link_new(rpc)) {
		rpc->member = member;
		return;
	}
	for (struct flight *flight = TAILQ_FIRST(&rpc->flights), *next; flight; flight = next) {
		next = TAILQ_NEXT(flight, entry);
		if (flight->watch && flight->link == former)
			end_watch_later(flight);
	}
	do_later(rpc);
}

void etcd_next_member(struct etcd_rpc *rpc)
{
	/* Else it was another one already. */
	if (rpc->failed == rpc->links)
		change_link(rpc);
}

/* ---- Answers ---- */

static const char *explain(const struct link *link, const struct http_answer *http)
{
	struct etcd_rpc *rpc = link->rpc;
	const char *member = link->member;

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
	/* Where no member ever answered there may be none: that is an error, not an outage. */
	if (http->refused && !rpc->answered && ++rpc->refused >= rpc->config.member_count)
		return refused(MPSYNC_E_UNREACHABLE);
	return (struct etcd_answer){.result = ETCD_UNKNOWN, .status = MPSYNC_E_UNREACHABLE};
}

/* What an answer other than 0 means. */
static struct etcd_answer problem_of(struct flight *flight, const struct http_answer *http)
{
	if (http->status != 0 && http->grpc_status < 0 && flight->first && !flight->rpc->answered)
		return refused(MPSYNC_E_INVALID);
	switch (http->grpc_status) {
	case GRPC_NOT_FOUND:
		return (struct etcd_answer){.result = ETCD_NO_LEASE, .status = MPSYNC_E_LOST};
	case GRPC_UNIMPLEMENTED:
		return refused(MPSYNC_E_UNSUPPORTED);
	case GRPC_FORBIDDEN:
		return refused(MPSYNC_E_FORBIDDEN);
	case GRPC_INVALID: /* as it says when it wants a user */
		return refused(MPSYNC_E_UNAUTHENTICATED);
	case GRPC_UNAUTHENTICATED:
		if (!flight->rpc->config.user)
			return refused(MPSYNC_E_UNAUTHENTICATED);
		break; /* it gave the token itself: members that do not agree yet */
	default:
		break;
	}
	return unanswered(flight->rpc, http);
}

static void send_or_log_in(struct flight *flight);

/*
 * The token has run out, or its member has forgotten it, which only costs another one. Others may
 * have been refused for the same token, and have another by now.
 */
static bool log_in_again(struct flight *flight)
{
	struct etcd_rpc *rpc = flight->rpc;

	if (++flight->stale_tokens > MOST_STALE_TOKENS)
		return false;
	if (flight->token_number == rpc->token_number) {
		free(rpc->token);
		rpc->token = NULL;
	}
	leave_link(&flight->link);
	send_or_log_in(flight);
	return true;
}

static void on_call_done(void *context, const struct http_answer *http)
{
	struct flight *flight = context;
	struct etcd_rpc *rpc = flight->rpc;
	struct etcd_call *call = flight->call;
	const uint8_t *message = (const uint8_t *)http->body;
	struct etcd_answer problem;

	flight->http = NULL;
	if (http->grpc_status >= 0)
		rpc->answered = true;
	else
		flight->link->broken = true;
	if (http->grpc_status == GRPC_UNAUTHENTICATED && rpc->config.user && log_in_again(flight))
		return;
	problem = problem_of(flight, http);
	problem.message = explain(flight->link, http);
	if (problem.result == ETCD_UNKNOWN)
		rpc->failed = flight->link;
	do_later(rpc);
	drop_flight(flight);
	call->flight = NULL;
	if (http->grpc_status != 0 || !etcd_decode(call, message, http->body_size))
		call->done(call, &problem);
}

/* ---- Watches ---- */

static bool take_messages(struct flight *flight)
{
	size_t used = 0;
	size_t size;
	bool good = true;

	while (good && flight->watch &&
	       (size = etcd_message_size(flight->received + used, flight->received_size - used)) > 0) {
		good = size != SIZE_MAX && etcd_decode_watch(&flight->watch, flight->received + used, size);
		used += good ? size : 0;
	}
	memmove(flight->received, flight->received + used, flight->received_size - used);
	flight->received_size -= used;
	return good;
}

static bool on_watch_data(void *context, const char *bytes, size_t size)
{
	struct flight *flight = context;
	uint8_t *more = realloc(flight->received, flight->received_size + size);
	bool good = more;

	if (more) {
		memcpy(more + flight->received_size, bytes, size);
		flight->received = more;
		flight->received_size += size;
		flight->telling = true;
		good = take_messages(flight);
		flight->telling = false;
	}
	return good && !flight->dead && flight->list != &flight->rpc->ended;
}

static void on_watch_done(void *context, const struct http_answer *http)
{
	struct flight *flight = context;

	(void)http;
	flight->http = NULL;
	if (flight->dead)
		drop_flight(flight);
	else
		end_watch_later(flight);
}

/* ---- Requests ---- */

static void fail_call_later(struct etcd_rpc *rpc, struct etcd_call *call)
{
	call->flight = call;
	call->unsent_by = rpc;
	call->next_unsent = rpc->unsent;
	rpc->unsent = call;
	do_later(rpc);
}

static void fail_watch_later(struct etcd_rpc *rpc, struct etcd_watch *watch)
{
	watch->flight = watch;
	watch->unsent_by = rpc;
	watch->next_unsent = rpc->unwatched;
	rpc->unwatched = watch;
	do_later(rpc);
}

static void fail_later(struct flight *flight)
{
	if (flight->watch)
		fail_watch_later(flight->rpc, flight->watch);
	else
		fail_call_later(flight->rpc, flight->call);
	drop_flight(flight);
}

static struct link *present_link(struct etcd_rpc *rpc)
{
	if (rpc->links->broken)
		change_link(rpc);
	return rpc->links;
}

static void launch(struct flight *flight)
{
	struct etcd_rpc *rpc = flight->rpc;
	struct link *link = present_link(rpc);
	const struct http_request request = {.method = "POST",
	    .path = flight->watch ? ETCD_WATCH_PATH : etcd_path_of(flight->call->kind),
	    .body = (const char *)flight->request.bytes,
	    .body_size = flight->request.size,
	    .grpc = true,
	    .token = rpc->token,
	    .timeout_ms = flight->timeout_ms,
	    .done = flight->watch ? on_watch_done : on_call_done,
	    .data = flight->watch ? on_watch_data : NULL,
	    .context = flight};

	move(flight, &rpc->flights);
	flight->http = flight->request.bytes ? http_start(link->http, &request) : NULL;
	if (!flight->http) {
		fail_later(flight);
		return;
	}
	flight->token_number = rpc->token_number;
	flight->link = link;
	flight->first = !link->used;
	link->used = true;
	link->flights++;
}

static struct flight *flight_new(struct etcd_rpc *rpc, struct etcd_bytes request)
{
	struct flight *flight = calloc(1, sizeof *flight);

	if (!flight) {
		free(request.bytes);
		return NULL;
	}
	flight->rpc = rpc;
	flight->request = request;
	move(flight, &rpc->flights);
	return flight;
}

/* They hear why; watches try again later. */
static void refuse_waiting(struct etcd_rpc *rpc, const struct etcd_answer *problem)
{
	struct flight *flight;

	while ((flight = TAILQ_FIRST(&rpc->waiting))) {
		struct etcd_call *call = flight->call;

		if (flight->watch) {
			end_watch_later(flight);
			continue;
		}
		drop_flight(flight);
		call->flight = NULL;
		call->done(call, problem);
	}
}

/* By a member that could judge; one without its cluster cannot. */
static bool login_is_refused(const struct http_answer *http)
{
	return http->grpc_status == GRPC_INVALID || http->grpc_status == GRPC_FORBIDDEN ||
	       http->grpc_status == GRPC_PRECONDITION || http->grpc_status == GRPC_UNAUTHENTICATED ||
	       (http->status == 200 && http->grpc_status < 0);
}

static void log_in(struct etcd_rpc *rpc);

static void on_logged_in(void *context, const struct http_answer *http)
{
	struct etcd_rpc *rpc = context;
	const uint8_t *message = (const uint8_t *)http->body;
	const size_t size = etcd_message_size(message, http->body_size);
	struct link *const link = rpc->login_link;
	struct flight *flight;
	struct etcd_answer problem;

	rpc->login = NULL;
	if (http->grpc_status == 0 && size > 0 && size != SIZE_MAX)
		rpc->token = etcd_decode_authenticate(message, size);
	leave_link(&rpc->login_link); /* freed later, if at all */
	if (rpc->token) {
		rpc->token_number++;
		while ((flight = TAILQ_FIRST(&rpc->waiting)))
			launch(flight);
		return;
	}
	link->broken |= http->grpc_status < 0;
	rpc->failed = link;
	/* It was changed, as it should be from time to time. */
	if (login_is_refused(http) && etcd_config_read_password(&rpc->config)) {
		log_in(rpc);
		return;
	}
	problem = login_is_refused(http)
	              ? refused(MPSYNC_E_UNAUTHENTICATED)
	              : (struct etcd_answer){.result = ETCD_UNKNOWN, .status = MPSYNC_E_UNREACHABLE};
	problem.message = explain(link, http);
	refuse_waiting(rpc, &problem);
}

static struct http_call *start_login(struct etcd_rpc *rpc, struct http *http)
{
	const struct etcd_bytes message =
	    etcd_encode_authenticate(rpc->config.user, rpc->config.password);
	const struct http_request request = {.method = "POST",
	    .path = ETCD_AUTHENTICATE_PATH,
	    .body = (const char *)message.bytes,
	    .body_size = message.size,
	    .grpc = true,
	    .timeout_ms = LOGIN_TIMEOUT_MS,
	    .done = on_logged_in,
	    .context = rpc};
	struct http_call *call = message.bytes ? http_start(http, &request) : NULL;

	free(message.bytes);
	return call;
}

static void log_in(struct etcd_rpc *rpc)
{
	struct link *link;

	if (rpc->login)
		return;
	link = present_link(rpc);
	rpc->login = start_login(rpc, link->http);
	if (!rpc->login) {
		refuse_waiting(rpc,
		    &(struct etcd_answer){
		        .result = ETCD_UNKNOWN, .status = MPSYNC_E_NO_MEMORY, .message = "out of memory"});
		return;
	}
	rpc->login_link = link;
	link->used = true;
	link->flights++;
}

static void send_or_log_in(struct flight *flight)
{
	struct etcd_rpc *rpc = flight->rpc;

	if (rpc->config.user && !rpc->token) {
		move(flight, &rpc->waiting);
		log_in(rpc);
	} else {
		launch(flight);
	}
}

void etcd_send(struct etcd_rpc *rpc, struct etcd_call *call)
{
	struct flight *flight = flight_new(rpc, etcd_encode(call));

	if (!flight) {
		fail_call_later(rpc, call);
		return;
	}
	call->flight = flight;
	flight->call = call;
	flight->timeout_ms = call->timeout_ms;
	send_or_log_in(flight);
}

void etcd_watch(struct etcd_rpc *rpc, struct etcd_watch *watch)
{
	struct flight *flight = flight_new(rpc, etcd_encode_watch(watch));

	if (!flight) {
		fail_watch_later(rpc, watch);
		return;
	}
	watch->flight = flight;
	flight->watch = watch;
	send_or_log_in(flight);
}

void etcd_cancel(struct etcd_call *call)
{
	struct flight *flight = call->flight;

	call->flight = NULL;
	if (call->unsent_by) {
		struct etcd_call **entry = &call->unsent_by->unsent;

		while (*entry != call)
			entry = &(*entry)->next_unsent;
		*entry = call->next_unsent;
		call->unsent_by = NULL;
	} else if (flight) {
		drop_flight(flight);
	}
}

void etcd_unwatch(struct etcd_watch *watch)
{
	struct flight *flight = watch->flight;

	watch->flight = NULL;
	if (watch->unsent_by) {
		struct etcd_watch **entry = &watch->unsent_by->unwatched;

		while (*entry != watch)
			entry = &(*entry)->next_unsent;
		*entry = watch->next_unsent;
		watch->unsent_by = NULL;
	} else if (flight) {
		flight->watch = NULL;
		drop_flight(flight);
	}
}

/* ---- Opening and closing ---- */

struct etcd_rpc *etcd_rpc_new(const struct url *url, const struct mpsync_options *options,
    struct loop *loop, const struct store_clock *clock, mpsync_error *error)
{
	struct etcd_rpc *rpc = calloc(1, sizeof *rpc);

	(void)clock;
	if (rpc) {
		TAILQ_INIT(&rpc->flights);
		TAILQ_INIT(&rpc->waiting);
		TAILQ_INIT(&rpc->ended);
		rpc->loop = loop;
		rpc->later = evtimer_new(loop->base, on_later, rpc);
		if (!etcd_config_read(&rpc->config, url, options, error)) {
			etcd_rpc_free(rpc);
			return NULL;
		}
		if (rpc->later && link_new(rpc))
			return rpc;
		etcd_rpc_free(rpc);
	}
	fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	return NULL;
}

static void drop_flights(struct flight_list *list)
{
	while (!TAILQ_EMPTY(list))
		drop_flight(TAILQ_FIRST(list));
}

void etcd_rpc_free(struct etcd_rpc *rpc)
{
	drop_flights(&rpc->flights);
	drop_flights(&rpc->waiting);
	drop_flights(&rpc->ended);
	while (rpc->links) {
		struct link *link = rpc->links;

		rpc->links = link->next;
		http_free(link->http);
		free(link);
	}
	if (rpc->later)
		event_free(rpc->later);
	etcd_config_clear(&rpc->config);
	free(rpc->token);
	free(rpc);
}
