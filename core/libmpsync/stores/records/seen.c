#include "seen.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct seen_name *)a)->name, ((const struct seen_name *)b)->name);
}

static void free_name(void *pointer)
{
	struct seen_name *name = pointer;

	free(name->name);
	free(name);
}

static struct seen_name *find(struct seen *seen, const char *name)
{
	const struct seen_name probe = {.name = (char *)name};
	struct seen_name **found = tfind(&probe, &seen->names, compare);

	return found ? *found : NULL;
}

static struct seen_name *add(struct seen *seen, const char *text)
{
	struct seen_name *name = calloc(1, sizeof *name);

	if (!name)
		return NULL;
	name->name = strdup(text);
	if (name->name && tsearch(name, &seen->names, compare))
		return name;
	free_name(name);
	return NULL;
}

void seen_begin(struct seen *seen)
{
	seen->round++;
}

struct seen_name *seen_there(struct seen *seen, const char *name)
{
	struct seen_name *known = find(seen, name);

	if (!known)
		known = add(seen, name);
	if (known)
		known->round = seen->round;
	return known;
}

static void drop(struct seen *seen, struct seen_name *name)
{
	tdelete(name, &seen->names, compare);
	free_name(name);
}

void seen_gone(struct seen *seen, const char *name)
{
	struct seen_name *known = find(seen, name);

	if (known)
		drop(seen, known);
}

struct gone {
	unsigned round;
	struct seen_name *first;
	struct seen_name **end;
};

static void collect(const void *node, VISIT visit, void *context)
{
	struct seen_name *name = *(struct seen_name *const *)node;
	struct gone *all = context;

	if ((visit != postorder && visit != leaf) || name->round == all->round)
		return;
	name->next = NULL;
	*all->end = name;
	all->end = &name->next;
}

void seen_sweep(struct seen *seen, void (*gone)(void *context, const char *name), void *context)
{
	struct gone all = {.round = seen->round, .end = &all.first};
	struct seen_name *next;

	twalk_r(seen->names, collect, &all);
	for (struct seen_name *name = all.first; name; name = next) {
		next = name->next;
		gone(context, name->name);
		drop(seen, name);
	}
}

void seen_clear(struct seen *seen)
{
	tdestroy(seen->names, free_name);
	*seen = (struct seen){0};
}
