/* What owners are told about their claims, and about a store that does not answer well. */
#include "claims.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Trouble that lasts for this long is reported, and then reported again. */
#define TROUBLE_AFTER_MS 1000
#define TROUBLE_EVERY_MS 60000

void report_event(struct engine_claim *claim, const struct engine_event *event)
{
	claim->engine->host.owner->event(claim->owner, event);
}

static enum mpsync_event_type report_type(enum claim_report report)
{
	switch (report) {
	case CLAIM_REPORT_HELD:
		return MPSYNC_EVENT_HELD;
	case CLAIM_REPORT_LOST:
		return MPSYNC_EVENT_LOST;
	case CLAIM_REPORT_RELEASED:
		return MPSYNC_EVENT_RELEASED;
	case CLAIM_REPORT_BUSY:
		return MPSYNC_EVENT_BUSY;
	case CLAIM_REPORT_CANCELLED:
		return MPSYNC_EVENT_CANCELLED;
	case CLAIM_REPORT_FAILED:
	case CLAIM_REPORT_NONE:
		break;
	}
	return MPSYNC_EVENT_FAILED;
}

static enum mpsync_status report_status(const struct claim *claim)
{
	switch (claim->report) {
	case CLAIM_REPORT_LOST:
		return MPSYNC_E_LOST;
	case CLAIM_REPORT_BUSY:
		return claim->once ? MPSYNC_E_HELD : MPSYNC_E_TIMEOUT;
	case CLAIM_REPORT_CANCELLED:
		return MPSYNC_E_CANCELLED;
	case CLAIM_REPORT_FAILED:
		return claim->status;
	case CLAIM_REPORT_HELD:
	case CLAIM_REPORT_RELEASED:
	case CLAIM_REPORT_NONE:
		break;
	}
	return MPSYNC_OK;
}

/* The store may know itself what it is waiting for. */
static const char *silence_of(const struct engine *engine)
{
	const struct store *store = engine->store;
	const char *own = store->ops->silence ? store->ops->silence(store) : NULL;

	return own ? own : engine->silence;
}

/* The store's last message, if it is the reason. */
static const char *message_of(const struct engine_claim *claim)
{
	const struct claim *told = &claim->claim;
	const bool silent = told->status == MPSYNC_E_UNREACHABLE;

	if (told->report == CLAIM_REPORT_LOST)
		return told->reason == MPSYNC_REASON_EXPIRED && silent ? claim->message : NULL;
	if (told->report != CLAIM_REPORT_FAILED)
		return NULL;
	return claim->message || !silent ? claim->message : silence_of(claim->engine);
}

void report_claim(struct engine_claim *claim, const struct store_word *word)
{
	value_end(claim, MPSYNC_E_LOST);
	if (claim->claim.report == CLAIM_REPORT_HELD)
		claim->stored.token = claim->claim.token;
	report_event(
	    claim, &(struct engine_event){
	               .type = report_type(claim->claim.report),
	               .status = report_status(&claim->claim),
	               .reason = claim->claim.reason,
	               .token = claim->claim.token,
	               .holder = word ? word->holder : NULL,
	               .value = claim->claim.report == CLAIM_REPORT_HELD ? claim->stored.value : NULL,
	               .ttl_ms = claim->claim.ttl_ms,
	               .message = message_of(claim),
	           });
}

void report_waiting(struct engine_claim *claim, const struct store_word *word)
{
	report_event(claim, &(struct engine_event){
	                        .type = MPSYNC_EVENT_WAITING,
	                        .holder = word->holder,
	                        .position = word->position,
	                        .unchanged_ms = word->unchanged_ms,
	                    });
}

void report_remember(struct engine_claim *claim, const char *message)
{
	const struct engine_owner *owner = claim->engine->host.owner;

	free(claim->message);
	claim->message = text_copy(message);
	if (claim->claim.state == CLAIM_HELD && message && owner->trouble)
		owner->trouble(claim->owner, message);
}

/*
 * Tell a waiter why it waits: once, and again each minute. A refusal is of one claim: the store may
 * answer others well.
 */
void report_trouble(struct engine_claim *claim, enum mpsync_status status, bool refused)
{
	const bool news = refused && !claim->refusal_told;
	struct engine *engine = claim->engine;
	const uint64_t now = engine->host.clock.boot_ms(engine->host.clock.context);

	if (engine->trouble_ms == 0)
		engine->trouble_ms = now + TROUBLE_AFTER_MS;
	if (!claim->message || (now < engine->trouble_ms && !news))
		return;
	claim->refusal_told |= refused;
	engine->trouble_ms = now + TROUBLE_EVERY_MS;
	report_event(claim, &(struct engine_event){
	                        .type = MPSYNC_EVENT_LOG, .status = status, .message = claim->message});
}

/*
 * What a store refuses to a holder ends in a loss, or leaves a record behind. So it is told at
 * once, and only once until the store does what it is asked again.
 */
void report_refusal(
    struct engine_claim *claim, enum mpsync_status status, const struct store_word *word)
{
	const bool held = claim->claim.state == CLAIM_HELD;
	char text[640];

	if (claim->refusal_told || !word || !word->message ||
	    !(held || claim->claim.state == CLAIM_LEAVING))
		return;
	claim->refusal_told = true;
	snprintf(text, sizeof text, "%.100s cannot be %s: %.450s", claim->stored.name,
	    held ? "renewed" : "released, and stays held until its ttl is over", word->message);
	report_event(
	    claim, &(struct engine_event){.type = MPSYNC_EVENT_LOG, .status = status, .message = text});
}
