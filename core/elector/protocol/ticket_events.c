/*
 * Events about tickets: on the stream of the ticket's session, and on those that follow its holder.
 */
#include "session.h"

#include "base/wire.h"

#include <string.h>

static cJSON *event_data(const struct ticket *ticket)
{
	cJSON *data = cJSON_CreateObject();
	char claim[ID_HEX_SIZE];

	id_to_hex(&ticket->entry.id, claim);
	return wire_whole(data, wire_add_text(data, "name", ticket_claim(ticket)->name) &&
	                            wire_add_text(data, "claim", claim));
}

cJSON *ticket_grant_data(const struct ticket *ticket)
{
	cJSON *data = event_data(ticket);

	return wire_whole(data, wire_add_decimal(data, "token", ticket_claim(ticket)->token));
}

void ticket_tell_followers(const struct ticket *ticket, const char *event)
{
	struct sessions *sessions = ticket->sessions;
	const struct store_claim *claim = ticket_claim(ticket);

	for (struct follower *follower = sessions->followers; follower; follower = follower->next) {
		cJSON *data;
		char since[WIRE_TIME_SIZE];

		if (strcmp(follower->holder, claim->holder) != 0)
			continue;
		data = cJSON_CreateObject();
		wire_time(since, ticket->since_ms);
		sessions->host.send(follower->stream, 0, event,
		    wire_whole(data, wire_add_text(data, "name", claim->name) &&
		                         wire_add_decimal(data, "token", claim->token) &&
		                         wire_add_text(data, "since", since)));
	}
}

void ticket_post_granted(struct ticket *ticket)
{
	const uint64_t told_ms = sessions_now(ticket->sessions);
	cJSON *data = ticket_grant_data(ticket);

	ticket_tell_until(ticket, told_ms, ticket_whole_remaining_ms(ticket, told_ms));
	session_post(ticket->session, "granted", data);
}

void ticket_post_lost(struct ticket *ticket, enum mpsync_reason reason)
{
	cJSON *data = ticket_grant_data(ticket);

	session_post(ticket->session, "lost",
	    wire_whole(data, wire_add_text(data, "reason", mpsync_reason_text((int32_t)reason))));
}

void ticket_post_refused(struct ticket *ticket, const char *code, const char *message)
{
	cJSON *data = event_data(ticket);

	session_post(ticket->session, "refused",
	    wire_whole(
	        data, wire_add_text(data, "code", code) && wire_add_text(data, "message", message)));
}
