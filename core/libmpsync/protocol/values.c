/* The values of grants, and whether they were stored. */
#include "claims.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

void value_end(struct engine_claim *claim, enum mpsync_status status)
{
	if (!claim->value_asked)
		return;
	claim->value_asked = false;
	report_event(claim, &(struct engine_event){.type = MPSYNC_EVENT_DONE, .status = status});
}

/*
 * An adopted grant keeps its value. Without memory it has none from here on, and the store will
 * show so.
 */
void value_adopt(struct engine_claim *claim, const char *value)
{
	if (value && !claim->stored.value)
		claim->stored.value = strdup(value);
}

bool engine_set_value(struct engine_claim *claim, const char *value)
{
	char *copy = text_copy(value);

	if (value && !copy)
		return false;
	free(claim->stored.value);
	claim->stored.value = copy;
	claim->stored.value_version++;
	claim->value_asked = true;
	if (claim->claim.state == CLAIM_HELD)
		engine_wish_for(claim, CLAIM_RENEW_NOW);
	else
		value_end(claim, MPSYNC_E_LOST); /* the grant has ended: no write stores it any more */
	return true;
}
