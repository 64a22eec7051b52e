/* An elector of the simulation: the product's engine and sessions, served over sim_http.c. */
#include "sim.h"

#include "base/socket_name.h"
#include "elector/http/fields.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_TICKETS 100000

/* A request that is being answered. */
struct exchange {
	struct sessions_request base; /* first */
	struct exchange *next;
	struct sim_node *node;
	struct sim_message *message;
};

struct sim_elector {
	struct sessions *sessions;
	struct exchange *exchanges;
	uint64_t wake_number;
};

static void drop_exchange(struct exchange *exchange)
{
	struct exchange **link = &exchange->node->elector->exchanges;

	while (*link != exchange)
		link = &(*link)->next;
	*link = exchange->next;
	sim_message_free(exchange->node->sim, exchange->message);
	free(exchange);
}

/* ---- What the sessions ask for ---- */

static cJSON *body_of(const struct answer *answer)
{
	cJSON *body = answer->body ? answer->body : cJSON_CreateObject();

	if (answer->code)
		cJSON_AddStringToObject(body, "code", answer->code);
	if (answer->message)
		cJSON_AddStringToObject(body, "message", answer->message);
	if (answer->want_lock)
		cJSON_AddObjectToObject(body, "spec");
	if (answer->elector)
		cJSON_AddStringToObject(body, "elector", answer->elector);
	return body;
}

static void host_answer(struct sessions_request *request, struct answer *answer)
{
	struct exchange *exchange = (struct exchange *)request;
	cJSON *body = body_of(answer);
	char *text = cJSON_PrintUnformatted(body);

	sim_trace(exchange->node->sim, "elector %d answers node %d's %s %s: %d %s",
	    exchange->node->number, exchange->message->client->number, exchange->message->method,
	    exchange->message->path, answer->status, text);
	sim_http_answer(exchange->node->sim, exchange->message, answer->status, text);
	cJSON_Delete(body);
	cJSON_free(text);
	drop_exchange(exchange);
}

static void host_send(void *stream, uint64_t id, const char *event, cJSON *data)
{
	struct sim_connection *connection = stream;
	struct sim *sim = connection->elector->sim;
	char *json = cJSON_PrintUnformatted(data);
	char text[1024];

	if (id)
		snprintf(text, sizeof text, "id: %" PRIu64 "\nevent: %s\ndata: %s\n\n", id, event, json);
	else
		snprintf(text, sizeof text, "event: %s\ndata: %s\n\n", event, json);
	sim_trace(sim, "elector %d tells node %d: %s %s", connection->elector->number,
	    connection->asked.client->number, event, json);
	sim_connection_send(sim, connection, text);
	cJSON_free(json);
	cJSON_Delete(data);
}

static void on_own_end(struct sim *sim, void *argument)
{
	struct sim_connection *connection = argument;

	(void)sim;
	sessions_stream_closed(
	    connection->elector->elector->sessions, connection->session, false, false);
	connection->session = NULL;
}

static void host_end(void *stream)
{
	struct sim_connection *connection = stream;
	struct sim *sim = connection->elector->sim;

	sim_connection_end(sim, connection);
	sim_at(sim, sim->now_us, connection->elector, on_own_end, connection, NULL);
}

struct wake {
	struct sim_node *node;
	uint64_t number;
};

static void free_wake(struct sim *sim, void *argument)
{
	(void)sim;
	free(argument);
}

static void on_wake(struct sim *sim, void *argument)
{
	const struct wake wake = *(struct wake *)argument;

	free_wake(sim, argument);
	if (wake.node->elector && wake.number == wake.node->elector->wake_number)
		sessions_run(wake.node->elector->sessions);
}

static void host_wake_at(void *context, uint64_t at_ms)
{
	struct sim_node *node = context;
	struct wake *wake;

	node->elector->wake_number++;
	if (at_ms == CLAIM_NEVER)
		return;
	wake = malloc(sizeof *wake);
	if (!wake)
		abort();
	*wake = (struct wake){node, node->elector->wake_number};
	sim_timer(node, at_ms, on_wake, wake, free_wake);
}

/* ---- Requests ---- */

static void refuse(struct exchange *exchange, const char *problem)
{
	host_answer(
	    &exchange->base, &(struct answer){.status = 400, .code = "invalid", .message = problem});
}

static void serve_lock(struct exchange *exchange, const cJSON *object, uint64_t read_ms)
{
	const struct sim_message *message = exchange->message;
	struct sessions *sessions = exchange->node->elector->sessions;
	struct put put = {.name = message->path + strlen("/locks/"), .read_ms = read_ms};
	char problem[FIELDS_PROBLEM_SIZE];

	if (!put_parse(&put, object, message->session, &(struct store){.shortest_ttl_ms = 50}, problem))
		refuse(exchange, problem);
	else if (strcmp(message->method, "PUT") == 0)
		sessions_put(sessions, &put, &exchange->base);
	else
		sessions_delete(sessions, &put, &exchange->base);
}

static void serve_heartbeat(struct exchange *exchange, const cJSON *object, uint64_t read_ms)
{
	struct heartbeat beat = {
	    .holder = exchange->message->path + strlen("/holders/"), .read_ms = read_ms};
	char problem[FIELDS_PROBLEM_SIZE];

	if (heartbeat_parse(&beat, object, exchange->message->session, problem))
		sessions_heartbeat(exchange->node->elector->sessions, &beat, &exchange->base);
	else
		refuse(exchange, problem);
}

static void serve(struct sim_node *node, struct sim_message *message, uint64_t read_ms)
{
	struct exchange *exchange = calloc(1, sizeof *exchange);
	cJSON *object;
	char problem[FIELDS_PROBLEM_SIZE];

	if (!exchange)
		abort();
	exchange->node = node;
	exchange->message = message;
	exchange->next = node->elector->exchanges;
	node->elector->exchanges = exchange;
	if (body_parse(message->body ? message->body : "", message->body ? strlen(message->body) : 0,
	        &object, problem) == BODY_BAD)
		refuse(exchange, problem);
	else if (message->old_wire)
		sessions_put_anonymous(node->elector->sessions, message->path + strlen("/locks/"), false,
		    read_ms, &exchange->base);
	else if (strncmp(message->path, "/locks/", 7) == 0)
		serve_lock(exchange, object, read_ms);
	else
		serve_heartbeat(exchange, object, read_ms);
	cJSON_Delete(object);
}

static void open_stream(struct sim_node *node, struct sim_message *message)
{
	struct sim_connection *connection = sim_connection_new(node->sim, message);
	char peer[SOCKET_NAME_SIZE];
	struct id session = {{0}};

	sim_connection_name(connection, peer);
	session_parse(message->session, &session);
	connection->session = sessions_stream_open(node->elector->sessions, &session,
	    message->path + strlen("/holders/"), message->last_event, peer, connection);
	sim_message_free(node->sim, message);
}

static void on_read(struct sim *sim, void *argument)
{
	struct sim_message *message = argument;

	(void)sim;
	if (message->stream)
		open_stream(message->elector, message);
	else
		serve(message->elector, message, message->read_ms);
}

/* Between the reading of a request and its serving the elector may stand still. */
void sim_elector_receive(struct sim *sim, void *argument)
{
	struct sim_message *message = argument;

	message->read_ms = sim_boot_ms(message->elector);
	if (sim_fault(sim, FAULT_PAUSE, 2))
		sim_pause(message->elector, sim_random(sim, (uint64_t)sim->ttl_ms * 2000));
	if (message->elector->paused_until_us > sim->now_us)
		sim_at(sim, sim->now_us, message->elector, on_read, message, sim_http_refuse);
	else
		on_read(sim, message);
}

static char *copy_of(const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		abort();
	return copy;
}

static struct sim_message *message_to(
    struct sim_node *client, struct sim_node *elector, const char *path, const char *body)
{
	struct sim_message *message = calloc(1, sizeof *message);

	if (!message)
		abort();
	message->client = client;
	message->client_life = client->life;
	message->elector = elector;
	message->method = copy_of("PUT");
	message->path = copy_of(path);
	message->body = copy_of(body);
	return message;
}

void sim_elector_ask(
    struct sim_node *client, struct sim_node *elector, const char *path, const char *body)
{
	sim_at(client->sim, client->sim->now_us + sim_latency_us(client->sim), elector,
	    sim_elector_receive, message_to(client, elector, path, body), sim_message_free);
}

void sim_elector_ask_old_wire(
    struct sim_node *client, struct sim_node *elector, const char *name, uint64_t call)
{
	struct sim_message *message;
	char path[64];

	snprintf(path, sizeof path, "/locks/%s", name);
	message = message_to(client, elector, path, "");
	message->old_wire = true;
	message->call = call;
	sim_at(client->sim, client->sim->now_us + sim_latency_us(client->sim), elector,
	    sim_elector_receive, message, sim_http_refuse);
}

void sim_elector_abandon(struct sim_node *node, uint64_t call)
{
	struct exchange *exchange = node->elector ? node->elector->exchanges : NULL;

	while (exchange && exchange->message->call != call)
		exchange = exchange->next;
	if (!exchange)
		return;
	sessions_abandon(node->elector->sessions, &exchange->base);
	drop_exchange(exchange);
}

/* ---- Ends of streams that the elector did not make ---- */

static void close_stream(struct sim_connection *connection, bool clean_end)
{
	if (!connection->open_at_elector || !connection->session)
		return;
	connection->open_at_elector = false;
	sim_trace(connection->elector->sim, "elector %d sees the stream of node %d end%s",
	    connection->elector->number, connection->asked.client->number, clean_end ? " cleanly" : "");
	sessions_stream_closed(
	    connection->elector->elector->sessions, connection->session, clean_end, false);
	connection->session = NULL;
}

void sim_elector_end(struct sim *sim, void *connection)
{
	(void)sim;
	close_stream(connection, true);
}

/* What breaks a proxied stream is mostly the proxy's end: clean, and no proof of anything. */
void sim_elector_reset(struct sim *sim, void *argument)
{
	struct sim_connection *connection = argument;

	(void)sim;
	close_stream(connection, !connection->direct);
}

/* ---- Beginning and end ---- */

void sim_elector_start(struct sim_node *node)
{
	static const struct sessions_host host = {
	    .answer = host_answer, .send = host_send, .end = host_end, .wake_at = host_wake_at};
	/* Those of one site are one holder to the old wire, as electors of one Pod are. */
	const struct anonymous anonymous = {
	    .holder = "anonymous", .key = {{(uint8_t)(node->site + 1)}}};
	const struct store_clock clock = sim_clock(node);
	struct sessions_host own = host;
	struct id instance;

	for (size_t i = 0; i < sizeof instance.bytes; i++)
		instance.bytes[i] = (uint8_t)sim_random(node->sim, 256);
	node->elector = calloc(1, sizeof *node->elector);
	if (!node->elector)
		abort();
	own.context = node;
	node->elector->sessions =
	    sessions_new(node->engine, &clock, &own, &instance, &anonymous, MOST_TICKETS);
	if (!node->elector->sessions)
		abort();
}

/* The process is gone, and its connections with it. `polite`: it was told to stop (rule 9). */
void sim_elector_crash(struct sim_node *node, bool polite)
{
	struct sim_elector *elector = node->elector;
	struct sim *sim = node->sim;

	if (polite)
		sessions_stop(elector->sessions);
	for (struct sim_connection *connection = sim->connections; connection;
	     connection = connection->next) {
		if (connection->elector != node || connection->elector_life != node->life)
			continue;
		if (connection->open_at_elector)
			sim_connection_end(sim, connection);
		if (connection->session)
			sessions_stream_closed(elector->sessions, connection->session, false, false);
		connection->session = NULL;
	}
	while (elector->exchanges) {
		sim_http_answer(sim, elector->exchanges->message, 0, NULL);
		drop_exchange(elector->exchanges);
	}
}

/* After its engine. */
void sim_elector_free(struct sim_node *node)
{
	if (!node->elector)
		return;
	sessions_free(node->elector->sessions);
	free(node->elector);
	node->elector = NULL;
}
