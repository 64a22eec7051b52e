/*
 * What stands between a client and its elector: core/libmpsync/net/http.h, fence and socket names,
 * over the agenda instead of a network. Requests and answers are lost and late; streams break at
 * either end or in the middle, and some of them go through a proxy, which the elector's hello gives
 * away.
 */
#include "sim.h"

#include "base/duration.h"
#include "base/socket_name.h"
#include "net/further.h"
#include "net/http.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Descriptors of the simulation: no real one is as large. */
#define FIRST_DESCRIPTOR 1000000

struct http {
	struct sim_node *node;
	struct http_call *calls;
};

struct http_call {
	struct http *http;
	struct http_call *next;
	uint64_t number;
	bool stream;
	struct sim_connection *connection; /* of a stream that has begun */
	struct sim_message *first;         /* what is sent again while nobody answers; NULL: nothing */
	struct further further;
	unsigned ended; /* a bit for each copy that ended without an answer */
	uint64_t timeout_ms;
	uint64_t opened_us; /* the connection of its last copy */
	void (*done)(void *context, const struct http_answer *answer);
	bool (*data)(void *context, const char *bytes, size_t size);
	void *context;
};

void sim_http_forget(struct sim *sim)
{
	while (sim->connections) {
		struct sim_connection *connection = sim->connections;

		sim->connections = connection->next;
		free(connection);
	}
}

void sim_message_free(struct sim *sim, void *argument)
{
	struct sim_message *message = argument;

	(void)sim;
	free(message->method);
	free(message->path);
	free(message->session);
	free(message->body);
	free(message);
}

static char *copy_text(const char *text)
{
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		abort();
	return copy;
}

/* ---- Connections that go deaf ---- */

static bool is_deaf(const struct sim_message *message)
{
	return message->opened_us && message->opened_us <= message->client->deaf_us;
}

/* Some time later its end at the elector is given up by the kernel there; the client hears nothing.
 */
void sim_http_deafen(struct sim *sim)
{
	for (int i = 0; i < sim->node_count; i++)
		sim->nodes[i].deaf_us = sim->now_us;
	for (struct sim_connection *connection = sim->connections; connection;
	     connection = connection->next)
		if (connection->open_at_elector && connection->elector->life == connection->elector_life &&
		    sim_chance(sim, 50))
			sim_at(sim, sim->now_us + sim_random(sim, (uint64_t)sim->ttl_ms * 3000),
			    connection->elector, sim_elector_reset, connection, NULL);
}

/* ---- Answers, on the client's node ---- */

static struct http_call *call_of(const struct sim_message *message)
{
	struct http_call *call = message->client->http ? message->client->http->calls : NULL;

	if (message->client->life != message->client_life)
		return NULL;
	while (call && call->number != message->call)
		call = call->next;
	return call;
}

static void unlink_call(struct http_call *call)
{
	struct http_call **link = &call->http->calls;

	while (*link != call)
		link = &(*link)->next;
	*link = call->next;
}

static void client_lets_go(struct sim *sim, struct sim_connection *connection);

static void end_call(struct sim *sim, struct http_call *call, const struct http_answer *answer)
{
	void (*const done)(void *, const struct http_answer *) = call->done;
	void *const context = call->context;

	unlink_call(call);
	if (call->connection)
		client_lets_go(sim, call->connection);
	if (call->first)
		sim_message_free(sim, call->first);
	free(call);
	done(context, answer);
}

/* A copy of the request ended without an answer. True: it was the last one that is under way. */
static bool has_failed(struct http_call *call, unsigned copy)
{
	const unsigned bit = 1u << copy;

	if (call->ended & bit)
		return false;
	call->ended |= bit;
	return further_failed(&call->further);
}

static void on_answer(struct sim *sim, void *argument)
{
	struct sim_message *message = argument;
	struct http_call *call;
	const struct http_answer answer = {
	    .status = message->status,
	    .body = message->body ? message->body : "",
	    .problem = message->status ? NULL : "no answer",
	    .retry_after_s = message->status == 503 ? 1 : 0,
	    .further = message->copy > 0,
	    .from_elector = message->status != 0,
	};

	if (is_deaf(message)) {
		sim_message_free(sim, message);
		return;
	}
	call = message->old_wire ? NULL : call_of(message);
	if (call && message->copy)
		message->client->line_us = 0; /* the earlier ones' connection hangs */
	if (call && (message->status || has_failed(call, message->copy)))
		end_call(sim, call, &answer);
	if (message->old_wire)
		sim_old_wire_answered(sim, message->client, message->call, message->status);
	sim_message_free(sim, message);
}

static struct sim_message *answer_to(const struct sim_message *asked, int status, const char *body)
{
	struct sim_message *message = calloc(1, sizeof *message);

	if (!message)
		abort();
	message->client = asked->client;
	message->client_life = asked->client_life;
	message->call = asked->call;
	message->copy = asked->copy;
	message->opened_us = asked->opened_us;
	message->old_wire = asked->old_wire;
	message->status = status;
	message->body = copy_text(body);
	return message;
}

/* Its connection is closed, and with it those that are kept open for later requests. */
static void on_timeout(struct sim *sim, void *argument)
{
	struct sim_message *message = argument;

	if (call_of(message) && message->client->line_us == message->opened_us)
		message->client->line_us = 0;
	message->opened_us = 0;
	on_answer(sim, message);
}

static void break_at_client(struct sim *sim, const struct sim_node *client);

void sim_http_answer(struct sim *sim, const struct sim_message *asked, int status, const char *body)
{
	uint64_t at_us = sim->now_us + sim_latency_us(sim);
	struct sim_message *message;

	if (is_deaf(asked) || (status != 0 && sim_fault(sim, FAULT_LOSE, 5)))
		return;
	/* The stream ends while the answer is under way: another is opened before it comes. */
	if (status != 0 && sim_fault(sim, FAULT_STREAM, 1)) {
		break_at_client(sim, asked->client);
		at_us += sim_random(sim, (uint64_t)sim->ttl_ms * 200);
	}
	message = answer_to(asked, status, body);
	sim_at(sim, at_us, asked->client, on_answer, message, sim_message_free);
}

/* The elector's process ended before it read the request. */
void sim_http_refuse(struct sim *sim, void *argument)
{
	struct sim_message *message = argument;

	sim_http_answer(sim, message, 0, NULL);
	sim_message_free(sim, message);
}

/* ---- Requests ---- */

struct http_settings http_settings_of(const char *base_url, const struct mpsync_options *options)
{
	(void)options;
	return (struct http_settings){.base_url = base_url};
}

struct http *http_new(struct loop *loop, const struct http_settings *settings)
{
	struct http *http = calloc(1, sizeof *http);

	(void)settings;
	if (!http)
		abort();
	http->node = (struct sim_node *)loop;
	http->node->http = http;
	return http;
}

void http_free(struct http *http)
{
	if (!http)
		return;
	while (http->calls)
		http_cancel(http->calls);
	http->node->http = NULL;
	free(http);
}

static struct sim_node *elector_of(const struct sim_node *client)
{
	const struct sim *sim = client->sim;

	return &sim->nodes[2 * client->site + sim->current[client->site]];
}

/* A program of somebody else's asks for half of the ttl while it holds (rule 21). */
static char *shorten_ttl(const struct sim *sim, const char *body)
{
	cJSON *json = cJSON_Parse(body);
	char ttl[DURATION_TEXT_SIZE];
	char *text;

	duration_format(ttl, sim->ttl_ms / 2);
	cJSON_ReplaceItemInObject(json, "ttl", cJSON_CreateString(ttl));
	text = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	return text;
}

static struct sim_message *message_new(
    struct http_call *call, const struct http_request *request, struct sim_node *elector)
{
	struct sim_message *message = calloc(1, sizeof *message);

	if (!message)
		abort();
	message->client = call->http->node;
	message->client_life = call->http->node->life;
	message->call = call->number;
	message->elector = elector;
	message->stream = call->stream;
	message->method = copy_text(request->method);
	message->path = copy_text(request->path);
	message->session = copy_text(request->session);
	message->body = copy_text(request->body);
	if (message->body && strstr(message->body, "\"token\"") && strstr(message->body, "\"ttl\"") &&
	    sim_fault(call->http->node->sim, FAULT_CANCEL, 20)) {
		free(message->body);
		message->body = shorten_ttl(call->http->node->sim, request->body);
	}
	message->last_event = request->last_event ? strtoull(request->last_event, NULL, 10) : 0;
	return message;
}

static struct sim_message *copy_message(const struct sim_message *message, struct sim_node *elector)
{
	struct sim_message *copy = malloc(sizeof *copy);

	if (!copy)
		abort();
	*copy = *message;
	copy->elector = elector;
	copy->method = copy_text(message->method);
	copy->path = copy_text(message->path);
	copy->session = copy_text(message->session);
	copy->body = copy_text(message->body);
	return copy;
}

/* An earlier grant's token, which nobody believes in any more. */
static bool is_of_earlier_grant(const struct sim *sim, const char *body, int name)
{
	const char *token = strstr(body, "\"token\":\"");

	return token && strtoull(token + strlen("\"token\":\""), NULL, 10) != sim->last_token[name];
}

static void check_release(struct sim_node *node, const struct http_request *request)
{
	const int name = strcmp(request->method, "DELETE") == 0
	                     ? sim_name_number(request->path + strlen("/locks/"))
	                     : -1;

	if (name >= 0 && !is_of_earlier_grant(node->sim, request->body, name))
		sim_gives_away(node, name);
}

/* The claim that its last request was to queue. */
static void remember_queued(struct sim_node *node, const struct http_request *request)
{
	const char *claim = request->body ? strstr(request->body, "\"claim\":\"") : NULL;
	char hex[ID_HEX_SIZE];

	if (!claim || !strstr(request->body, "\"queue\""))
		return;
	snprintf(hex, sizeof hex, "%s", claim + strlen("\"claim\":\""));
	if (id_from_hex(&node->queued_claim, hex))
		node->queued_name = sim_name_number(request->path + strlen("/locks/"));
}

/* Streams, and what is sent again, have a connection of their own. */
static uint64_t opened_us(struct http_call *call)
{
	struct sim_node *node = call->http->node;

	if (call->stream || call->further.sent > 1)
		return node->sim->now_us;
	if (!node->line_us)
		node->line_us = node->sim->now_us;
	return node->line_us;
}

static void on_arrival(struct sim *sim, void *argument)
{
	struct sim_message *message = argument;

	if (is_deaf(message))
		sim_message_free(sim, message);
	else
		sim_elector_receive(sim, message);
}

static void send_message(struct http_call *call, struct sim_message *message)
{
	struct sim_node *node = call->http->node;
	struct sim *sim = node->sim;
	const struct sim_node *elector = message->elector;
	uint64_t depart_us = sim->now_us;

	message->opened_us = call->opened_us = opened_us(call);
	message->copy = call->further.sent - 1;
	sim_trace(sim, "node %d asks elector %d: %s %s%s", node->number, elector->number,
	    message->method, message->path, message->copy ? ", again" : "");
	if (call->timeout_ms)
		sim_timer(node,
		    sim_boot_ms(node) +
		        further_lasts_ms(&call->further, sim_boot_ms(node), call->timeout_ms),
		    on_timeout, answer_to(message, 0, NULL), sim_message_free);
	/* A process may stand still between the reading of its clock and the sending. */
	if (sim_fault(sim, FAULT_PAUSE, 2))
		sim_pause(node, sim_random(sim, (uint64_t)sim->ttl_ms * 2000));
	if (node->paused_until_us > depart_us)
		depart_us = node->paused_until_us;
	if (!call->stream && sim_fault(sim, FAULT_LOSE, 5)) {
		sim_trace(sim, "a request of node %d is lost", node->number);
		sim_message_free(sim, message);
	} else if (elector->alive) {
		sim_at(sim, depart_us + sim_latency_us(sim), message->elector, on_arrival, message,
		    sim_http_refuse);
	} else {
		sim_http_refuse(sim, message);
	}
}

static void on_further(struct sim *sim, void *argument);

static void arm_further(struct http_call *call)
{
	const uint64_t at_ms = further_next_ms(&call->further);

	if (call->first && at_ms != FURTHER_NEVER)
		sim_timer(
		    call->http->node, at_ms, on_further, answer_to(call->first, 0, NULL), sim_message_free);
}

static void on_further(struct sim *sim, void *argument)
{
	struct http_call *call = call_of(argument);

	sim_message_free(sim, argument);
	if (!call || !further_send(&call->further, sim_boot_ms(call->http->node)))
		return;
	send_message(call, copy_message(call->first, elector_of(call->http->node)));
	arm_further(call);
}

struct http_call *http_start(struct http *http, const struct http_request *request)
{
	struct sim_node *node = http->node;
	const uint64_t now = sim_boot_ms(node);
	struct http_call *call = calloc(1, sizeof *call);
	struct sim_message *message;

	if (!call)
		abort();
	check_release(node, request);
	remember_queued(node, request);
	*call = (struct http_call){.http = http,
	    .next = http->calls,
	    .number = ++node->sim->calls,
	    .stream = request->data,
	    .timeout_ms = request->timeout_ms,
	    .done = request->done,
	    .data = request->data,
	    .context = request->context};
	http->calls = call;
	further_begin(&call->further, now, request->further_ms,
	    request->further_ms ? now + request->whole_ms : FURTHER_NEVER);
	message = message_new(call, request, elector_of(node));
	if (request->further_ms)
		call->first = copy_message(message, message->elector);
	send_message(call, message);
	arm_further(call);
	return call;
}

static void on_abandoned(struct sim *sim, void *argument)
{
	struct sim_message *message = argument;

	if (!is_deaf(message))
		sim_elector_abandon(message->elector, message->call);
	sim_message_free(sim, message);
}

void http_cancel(struct http_call *call)
{
	struct sim_message *message;
	struct sim_node *node;

	if (!call)
		return;
	node = call->http->node;
	unlink_call(call);
	if (call->connection) {
		client_lets_go(node->sim, call->connection);
	} else if (!call->stream) {
		message = message_new(call, &(struct http_request){.method = ""}, elector_of(node));
		message->opened_us = call->opened_us;
		sim_at(node->sim, node->sim->now_us + sim_latency_us(node->sim), message->elector,
		    on_abandoned, message, sim_message_free);
	}
	if (call->first)
		sim_message_free(node->sim, call->first);
	free(call);
}

char *http_encode(const char *text)
{
	return copy_text(text); /* names of the simulation need no encoding */
}

/* ---- Streams ---- */

struct sim_connection *sim_connection_new(struct sim *sim, const struct sim_message *message)
{
	struct sim_connection *connection = calloc(1, sizeof *connection);

	if (!connection)
		abort();
	connection->asked = *message;
	connection->asked.method = connection->asked.path = NULL;
	connection->asked.session = connection->asked.body = NULL;
	connection->elector = message->elector;
	connection->elector_life = message->elector->life;
	connection->descriptor = FIRST_DESCRIPTOR + (int)++sim->connection_count;
	connection->direct = !sim_fault(sim, FAULT_STREAM, 30);
	connection->open_at_elector = true;
	connection->open_at_client = true;
	connection->next = sim->connections;
	sim->connections = connection;
	return connection;
}

void sim_connection_name(const struct sim_connection *connection, char text[SOCKET_NAME_SIZE])
{
	if (connection->direct)
		socket_own_name(connection->descriptor, text);
	else
		snprintf(text, SOCKET_NAME_SIZE, "127.0.0.9:%d", connection->descriptor);
}

/* The client's kernel end is closed when curl and the fence have both let go of it. */
static void client_lets_go(struct sim *sim, struct sim_connection *connection)
{
	if (connection->client_references > 0 && --connection->client_references > 0)
		return;
	/* One that was reset, or that the elector has ended, says nothing any more. */
	if (connection->open_at_client && connection->elector->life == connection->elector_life &&
	    !is_deaf(&connection->asked))
		sim_at(sim, sim->now_us + sim_latency_us(sim), connection->elector, sim_elector_end,
		    connection, NULL);
}

struct piece {
	struct sim_connection *connection;
	char *text; /* NULL: the stream ends */
};

static void free_piece(struct sim *sim, void *argument)
{
	struct piece *piece = argument;

	(void)sim;
	free(piece->text);
	free(piece);
}

static void on_piece(struct sim *sim, void *argument)
{
	struct piece *piece = argument;
	struct sim_connection *connection = piece->connection;
	struct http_call *call = call_of(&connection->asked);

	if (!connection->open_at_client || is_deaf(&connection->asked)) {
		free_piece(sim, piece);
		return;
	}
	sim_trace(sim, "node %d reads from stream %d%s: %.30s", connection->asked.client->number,
	    connection->descriptor, call ? "" : ", which it has left",
	    piece->text ? piece->text : "its end");
	if (!piece->text)
		connection->open_at_client = false;
	if (call && !connection->begun) {
		call->connection = connection;
		connection->client_references++;
	} else if (!connection->begun) {
		client_lets_go(sim, connection); /* cancelled before it began */
	}
	connection->begun = true;
	if (call && piece->text)
		call->data(call->context, piece->text, strlen(piece->text));
	else if (call)
		end_call(sim, call, &(struct http_answer){.status = 200, .body = ""});
	free_piece(sim, piece);
}

/* In order, as TCP does. */
static void deliver(struct sim *sim, struct sim_connection *connection, char *text)
{
	struct piece *piece = malloc(sizeof *piece);
	const uint64_t at_us = sim->now_us + sim_latency_us(sim);

	if (!piece)
		abort();
	*piece = (struct piece){connection, text};
	if (at_us > connection->delivered_us)
		connection->delivered_us = at_us;
	sim_at(sim, connection->delivered_us, connection->asked.client, on_piece, piece, free_piece);
}

void sim_connection_send(struct sim *sim, struct sim_connection *connection, const char *text)
{
	if (connection->open_at_elector &&
	    connection->asked.client->life == connection->asked.client_life)
		deliver(sim, connection, copy_text(text));
}

void sim_connection_end(struct sim *sim, struct sim_connection *connection)
{
	connection->open_at_elector = false;
	if (connection->asked.client->life == connection->asked.client_life)
		deliver(sim, connection, NULL);
}

/* A firewall's reset, a proxy that ends, a network that goes away: at one end, or at both. */
void sim_connection_break(struct sim *sim)
{
	struct sim_connection *connection = sim->connections;

	for (uint64_t skip = sim_random(sim, 4); connection && skip > 0; skip--)
		connection = connection->next;
	if (!connection || !connection->open_at_elector)
		return;
	sim_trace(sim, "the stream of node %d to elector %d breaks", connection->asked.client->number,
	    connection->elector->number);
	if (sim_chance(sim, 60) && connection->asked.client->life == connection->asked.client_life)
		deliver(sim, connection, NULL);
	if (sim_chance(sim, 60) && connection->elector->life == connection->elector_life)
		sim_at(sim, sim->now_us, connection->elector, sim_elector_reset, connection, NULL);
}

static void break_at_client(struct sim *sim, const struct sim_node *client)
{
	struct sim_connection *connection = sim->connections;

	while (connection && (connection->asked.client != client || !connection->open_at_elector ||
	                         connection->asked.client_life != client->life))
		connection = connection->next;
	if (!connection)
		return;
	sim_trace(sim, "the stream of node %d to elector %d ends before an answer comes",
	    client->number, connection->elector->number);
	deliver(sim, connection, NULL);
}

/* ---- The client's view of its sockets ---- */

int http_descriptor(const struct http_call *call)
{
	return call && call->connection ? call->connection->descriptor : -1;
}

void socket_own_name(int descriptor, char text[SOCKET_NAME_SIZE])
{
	snprintf(text, SOCKET_NAME_SIZE, "127.0.0.1:%d", descriptor);
}

static struct sim_connection *connection_of(int descriptor)
{
	struct sim_connection *connection = sim_the_world()->connections;

	while (connection && connection->descriptor != descriptor)
		connection = connection->next;
	return connection;
}

static void let_go(int descriptor)
{
	struct sim_connection *connection = connection_of(descriptor);

	if (connection)
		client_lets_go(sim_the_world(), connection);
}

struct store_fence *store_fence_new(void)
{
	struct store_fence *fence = calloc(1, sizeof *fence);

	if (fence)
		atomic_init(&fence->descriptor, -1);
	return fence;
}

void store_fence_drop(struct store_fence *fence)
{
	free(fence);
}

static void drop_retired(struct store_fence *fence, bool all)
{
	size_t kept = 0;

	for (size_t i = 0; i < fence->retired_count; i++) {
		const struct sim_connection *connection = connection_of(fence->retired[i]);

		if (all || !connection || !connection->open_at_client)
			let_go(fence->retired[i]);
		else
			fence->retired[kept++] = fence->retired[i];
	}
	fence->retired_count = kept;
}

static void retire(struct store_fence *fence, int descriptor, bool keep)
{
	drop_retired(fence, false);
	if (!keep)
		let_go(descriptor);
	else if (descriptor >= 0 && fence->retired_count < STORE_MOST_RETIRED)
		fence->retired[fence->retired_count++] = descriptor;
	/* Else it stays open for ever, as in the library. */
}

bool store_fence_replace(struct store_fence *fence, int socket, bool keep)
{
	const int before = atomic_load(&fence->descriptor);
	struct sim_connection *after = connection_of(socket);

	if (after)
		after->client_references++;
	atomic_store(&fence->descriptor, after ? socket : -1);
	retire(fence, before, keep);
	return after;
}

void store_fence_forget(struct store_fence *fence)
{
	drop_retired(fence, true);
}
