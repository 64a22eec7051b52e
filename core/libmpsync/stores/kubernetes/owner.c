#include "owner.h"

#include "base/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A request that waits for the owner to be known. */
struct asker {
	struct asker *next;
	void (*done)(void *context, const struct kube_answer *problem);
	void *context;
};

struct kube_owner {
	struct kube_api *api;
	char *path;
	char *text; /* as it was given, for messages */
	struct kube_call *call;
	struct asker *askers;
	cJSON *reference; /* while askers are told; NULL: it is not known */
};

/* ---- What the server says ---- */

static bool take_text(cJSON *to, const char *name, const cJSON *from)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(from, name));

	return text && cJSON_AddStringToObject(to, name, text);
}

/* NULL: the answer is no object, or there is no memory. */
static cJSON *reference_to(const cJSON *object)
{
	const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(object, "metadata");
	cJSON *reference = cJSON_CreateObject();

	if (reference && take_text(reference, "apiVersion", object) &&
	    take_text(reference, "kind", object) && take_text(reference, "name", metadata) &&
	    take_text(reference, "uid", metadata))
		return reference;
	cJSON_Delete(reference);
	return NULL;
}

static void tell(struct kube_owner *owner, const struct kube_answer *problem)
{
	while (owner->askers) {
		struct asker *asker = owner->askers;

		owner->askers = asker->next;
		asker->done(asker->context, problem);
		free(asker);
	}
}

static void on_answer(void *context, const struct kube_answer *answer)
{
	struct kube_owner *owner = context;
	struct kube_answer problem = *answer;
	char message[sizeof((mpsync_error *)0)->message];

	owner->call = NULL;
	if (answer->status == 200)
		owner->reference = reference_to(answer->json);
	if (owner->reference) {
		tell(owner, NULL);
		/* Another of that name may take its place, with another uid. */
		cJSON_Delete(owner->reference);
		owner->reference = NULL;
		return;
	}
	if (!answer->unknown) {
		problem.refused = true;
		problem.problem = answer->refused ? answer->problem : MPSYNC_E_INVALID;
	}
	snprintf(message, sizeof message, "the lease_owner %.80s cannot be read: %s", owner->text,
	    answer->refused || answer->unknown ? answer->message
	                                       : "it is not there; it is GROUP/VERSION/RESOURCE/NAME, "
	                                         "as in apps/v1/deployments/web");
	problem.message = message;
	tell(owner, &problem);
}

bool kube_owner_ask(struct kube_owner *owner, uint64_t timeout_ms,
    void (*done)(void *context, const struct kube_answer *problem), void *context)
{
	struct asker *asker;

	if (!owner)
		return false;
	asker = malloc(sizeof *asker);
	if (!asker)
		return false;
	*asker = (struct asker){owner->askers, done, context};
	owner->askers = asker;
	if (!owner->call)
		owner->call = kube_send(owner->api, &(struct kube_request){.method = "GET",
		                                        .path = owner->path,
		                                        .timeout_ms = timeout_ms,
		                                        .whole_ms = timeout_ms,
		                                        .done = on_answer,
		                                        .context = owner});
	if (owner->call)
		return true;
	owner->askers = asker->next;
	free(asker);
	return false;
}

void kube_owner_forget(struct kube_owner *owner, const void *context)
{
	struct asker **link = owner ? &owner->askers : NULL;

	while (link && *link) {
		struct asker *asker = *link;

		if (asker->context == context) {
			*link = asker->next;
			free(asker);
		} else {
			link = &asker->next;
		}
	}
}

bool kube_owner_put(const struct kube_owner *owner, cJSON *lease)
{
	cJSON *metadata = cJSON_GetObjectItemCaseSensitive(lease, "metadata");
	cJSON *references;
	cJSON *reference;

	if (!owner)
		return true;
	references = cJSON_AddArrayToObject(metadata, "ownerReferences");
	reference = owner->reference ? cJSON_Duplicate(owner->reference, true) : NULL;
	if (references && reference && cJSON_AddItemToArray(references, reference))
		return true;
	cJSON_Delete(reference);
	return false;
}

/* ---- Beginning and end ---- */

/* Three or four parts of letters, digits, dots and dashes, so that nothing needs encoding. */
static bool is_owner(const char *text, int *slashes)
{
	char before = '/';

	*slashes = 0;
	for (; *text; text++) {
		if (*text == '/' && (before == '/' || before == '.'))
			return false;
		if (*text == '.' && before == '/')
			return false;
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-./", *text))
			return false;
		*slashes += *text == '/';
		before = *text;
	}
	return (*slashes == 2 || *slashes == 3) && before != '/';
}

/* Owned by the caller; NULL without memory. */
static char *path_of(const char *text, int slashes, const char *namespace_name)
{
	const char *resource = strchr(text, '/') + 1;
	char *path = NULL;

	if (slashes == 3)
		resource = strchr(resource, '/') + 1;
	if (asprintf(&path, "/%s/%.*s/namespaces/%s/%s", slashes == 3 ? "apis" : "api",
	        (int)(resource - 1 - text), text, namespace_name, resource) < 0)
		return NULL;
	return path;
}

bool kube_owner_new(struct kube_owner **made, struct kube_api *api, const char *namespace_name,
    const struct mpsync_options *options, mpsync_error *error)
{
	const char *text = options_text(options, OPTION_LEASE_OWNER);
	struct kube_owner *owner;
	int slashes;

	*made = NULL;
	if (!text)
		return true;
	if (!is_owner(text, &slashes)) {
		fail(error, MPSYNC_E_INVALID,
		    "\"%.80s\" is no lease_owner; write GROUP/VERSION/RESOURCE/NAME, as in "
		    "apps/v1/deployments/web or v1/configmaps/web",
		    text);
		return false;
	}
	owner = calloc(1, sizeof *owner);
	if (owner) {
		owner->api = api;
		owner->text = strdup(text);
		owner->path = path_of(text, slashes, namespace_name);
	}
	if (owner && owner->text && owner->path) {
		*made = owner;
		return true;
	}
	kube_owner_free(owner);
	fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	return false;
}

void kube_owner_free(struct kube_owner *owner)
{
	if (!owner)
		return;
	kube_cancel(owner->call);
	while (owner->askers) {
		struct asker *asker = owner->askers;

		owner->askers = asker->next;
		free(asker);
	}
	cJSON_Delete(owner->reference);
	free(owner->path);
	free(owner->text);
	free(owner);
}
