#include "sim.h"

#include <stdio.h>
#include <string.h>

/* P18: each value names who set it, and is set once. */

#define PATTERN "value-%d-%llu;"

void sim_value_begin(struct sim *sim, struct sim_value *value)
{
	*value = (struct sim_value){
	    .next = sim->values, .number = sim->values ? sim->values->number + 1 : 0};
	sim->values = value;
}

void sim_value_set(struct sim_value *value, char text[SIM_VALUE_SIZE])
{
	value->waiting = true;
	value->set++;
	snprintf(text, SIM_VALUE_SIZE, PATTERN, value->number, (unsigned long long)value->set);
}

void sim_value_told(struct sim *sim, struct sim_value *value, enum mpsync_status status)
{
	if (!value->waiting)
		sim_violate(sim, "P18", "a value is answered that nobody waits for");
	value->waiting = false;
	if (status != MPSYNC_OK)
		return;
	if (value->stored < value->set)
		sim_violate(sim, "P18", "a value is said to be stored that never was");
	value->confirmed = value->set;
}

void sim_value_end(struct sim *sim, struct sim_value *value)
{
	if (value->waiting)
		sim_violate(sim, "P18", "a grant ended, and the value under way was not answered");
	value->waiting = false;
}

void sim_value_crash(struct sim_value *value)
{
	value->waiting = false;
}

void sim_value_written(struct sim *sim, const char *text)
{
	const char *found = text ? strstr(text, "value-") : NULL;
	struct sim_value *value = sim->values;
	unsigned long long number;
	int who;

	if (!found || sscanf(found, PATTERN, &who, &number) != 2)
		return;
	if (strstr(text, "\"revoked\""))
		return; /* by force, which ends the grant */
	while (value && value->number != who)
		value = value->next;
	if (!value)
		return;
	if (number < value->confirmed)
		sim_violate(sim, "P18", "a value that was stored goes back to an earlier one");
	if (number > value->stored)
		value->stored = number;
}
