/* What requests are answered, and how long a client may believe in what it was told. */
#include "session.h"

#include "base/duration.h"
#include "base/wire.h"

void answer_error(struct sessions *sessions, struct sessions_request *request, int status,
    const char *code, const char *message)
{
	sessions->host.answer(
	    request, &(struct answer){.status = status, .code = code, .message = message});
}

void answer_holder(
    struct sessions *sessions, struct sessions_request *request, int status, uint32_t position)
{
	sessions->host.answer(
	    request, &(struct answer){.status = status,
	                 .code = status == 409 ? "held" : NULL,
	                 .message = status == 409 ? "held by another; wait, or try again later" : NULL,
	                 .want_lock = true,
	                 .position = position,
	                 .elector = sessions->instance});
}

void answer_no_memory(struct sessions *sessions, struct sessions_request *request)
{
	answer_error(sessions, request, 503, "too_many", "out of memory; try again later");
}

void answer_in_doubt(struct sessions *sessions, struct sessions_request *request)
{
	answer_error(sessions, request, 503, "store_unreachable",
	    "whether the grant lasts is not known yet; ask again");
}

void answer_unconfirmed(struct sessions *sessions, struct sessions_request *request)
{
	answer_error(sessions, request, 503, "store_unreachable",
	    "the store has not confirmed the grant in time; ask again");
}

static cJSON *released_object(const char *name)
{
	cJSON *body = cJSON_CreateObject();

	cJSON_AddStringToObject(body, "kind", "Released");
	cJSON_AddStringToObject(cJSON_AddObjectToObject(body, "metadata"), "name", name);
	return body;
}

void answer_released(struct sessions *sessions, const char *name, struct sessions_request *request)
{
	sessions->host.answer(request, &(struct answer){.status = 200, .body = released_object(name)});
}

/* ---- What a client may believe ---- */

uint64_t ticket_remaining_ms(const struct ticket *ticket, uint64_t read_ms, uint64_t told_ms)
{
	const uint64_t by_request = read_ms + claim_right_ms(ticket_claim(ticket)->ttl_ms);
	const uint64_t right_until = engine_claim_right_ms(ticket->engine_claim);
	const uint64_t end = right_until < by_request ? right_until : by_request;

	return end > told_ms ? end - told_ms : 0;
}

/* For an event, which answers no request, the right is not bounded by when a request was read. */
uint64_t ticket_whole_remaining_ms(const struct ticket *ticket, uint64_t told_ms)
{
	const uint64_t until = engine_claim_right_ms(ticket->engine_claim);

	return until > told_ms ? until - told_ms : 0;
}

/* The client's clock may be slower than ours by 5 %, and then it believes for that much longer. */
void ticket_tell_until(struct ticket *ticket, uint64_t told_ms, uint64_t told_remaining_ms)
{
	const uint64_t until = told_ms + told_remaining_ms + told_remaining_ms / 20 + 1;

	if (until > ticket->told_until_ms)
		ticket->told_until_ms = until;
	/*
	 * Mostly the timer rings too early, and is set again then: that is cheaper than moving it each
	 * time.
	 */
	if (ticket->timer.index == HEAP_ABSENT || ticket->timer.at_ms > ticket->told_until_ms)
		ticket_set_timer(ticket, ticket->told_until_ms);
}

static cJSON *lock_object(const struct ticket *ticket, uint64_t remaining)
{
	const struct sessions *sessions = ticket->sessions;
	const struct store_claim *claim = ticket_claim(ticket);
	const struct store_lock lock = {
	    .name = claim->name,
	    .holder = claim->holder,
	    .value = claim->value,
	    .token = claim->token,
	    .ttl_ms = claim->ttl_ms,
	    .since_ms = ticket->since_ms,
	    .expires_in_ms = remaining,
	    .election = claim->election,
	};
	cJSON *object = wire_lock(&lock, sessions->clock.wall_ms(sessions->clock.context));
	char text[DURATION_TEXT_SIZE];
	cJSON *spec;

	duration_format(text, remaining);
	spec = cJSON_GetObjectItem(object, "spec");
	return wire_whole(object, wire_add_text(object, "elector", sessions->instance) &&
	                              wire_add_text(spec, "remaining", text) &&
	                              (!ticket->stored_order || cJSON_AddNumberToObject(spec, "order",
	                                                            (double)ticket->stored_order)));
}

void ticket_answer(struct ticket *ticket, struct sessions_request *request, uint64_t remaining_ms)
{
	ticket->sessions->host.answer(
	    request, &(struct answer){.status = 200, .body = lock_object(ticket, remaining_ms)});
}

void ticket_answer_lock(struct ticket *ticket, struct sessions_request *request, uint64_t read_ms)
{
	const uint64_t told_ms = sessions_now(ticket->sessions);
	const uint64_t remaining = ticket_remaining_ms(ticket, read_ms, told_ms);

	ticket_tell_until(ticket, told_ms, remaining);
	ticket_answer(ticket, request, remaining);
}

/*
 * After a wait the time that the answer could tell is over: it only says that there is a grant,
 * which has to be confirmed at once (rule 5, a grant that was waited for is confirmed first).
 */
void ticket_answer_waited(struct ticket *ticket, struct sessions_request *request)
{
	const uint64_t told_ms = sessions_now(ticket->sessions);

	ticket_tell_until(ticket, told_ms, ticket_whole_remaining_ms(ticket, told_ms));
	ticket_answer(ticket, request, 0);
}
