#include "client.h"

#include "base/crypto.h"
#include "base/identity.h"
#include "base/status.h"
#include "base/store_url.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* ---- Handles ---- */

mpsync_client *client_reference(mpsync_client *client)
{
	atomic_fetch_add(&client->references, 1);
	return client;
}

void client_unreference(mpsync_client *client)
{
	if (atomic_fetch_sub(&client->references, 1) > 1)
		return;
	mpsync_queue_free(client->queue);
	options_clear(&client->options);
	free(client->url);
	free(client->store_url);
	free(client->reserved_close);
	store_fence_drop(client->fence);
	if (client->descriptor >= 0)
		close(client->descriptor);
	fork_mark_free(client->mark);
	pthread_mutex_destroy(&client->mutex);
	free(client);
}

mpsync_status client_check_usable(const mpsync_client *client, mpsync_error *error)
{
	if (!client)
		return fail(error, MPSYNC_E_INVALID, "no client given");
	if (!fork_mark_is_ours(client->mark))
		return fail(error, MPSYNC_E_FORKED, "%s", mpsync_status_text(MPSYNC_E_FORKED));
	return MPSYNC_OK;
}

/* ---- Opening ---- */

/* Set the default identity, if no option names one. */
static bool name_holder(struct mpsync_options *options, mpsync_error *error)
{
	char own[HOLDER_MOST + 1];
	const char *problem;

	if (options_text(options, OPTION_IDENTITY))
		return true;
	problem = identity_default(own, sizeof own);
	if (!problem)
		return mpsync_options_set(options, option_name(OPTION_IDENTITY), own, error) == MPSYNC_OK;
	fail(error, MPSYNC_E_INVALID,
	    "POD_NAME or the host's name cannot say who holds: %s; give identity", problem);
	return false;
}

/*
 * Combine the options: the caller's win over the URL's, and these over the environment's. The
 * caller clears the URL, also on failure.
 */
static bool resolve(mpsync_client *client, struct url *url, const char *text,
    const mpsync_options *options, mpsync_error *error)
{
	struct mpsync_options environment = {{0}};
	bool good = options_from_environment(&environment, error) == MPSYNC_OK;
	const char *from_options = options ? options_text(options, OPTION_URL) : NULL;

	if (good && !text)
		text = from_options ? from_options : options_text(&environment, OPTION_URL);
	good = good && url_parse(url, text ? text : URL_DEFAULT, error);
	if (good && (!options_inherit(&client->options, options) ||
	                !options_inherit(&client->options, &url->options) ||
	                !options_inherit(&client->options, &environment))) {
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
		good = false;
	}
	options_clear(&environment);
	return good && name_holder(&client->options, error);
}

/*
 * The URL for people, and the one for programs that this one starts, which may run in another
 * folder.
 */
static bool keep_urls(mpsync_client *client, const struct url *url, mpsync_error *error)
{
	client->url = strdup(client->store->url ? client->store->url : url->text);
	client->store_url = client->url ? store_url(client->url, url, &client->options) : NULL;
	if (!client->store_url)
		fail(error, MPSYNC_E_NO_MEMORY,
		    "out of memory, or the current folder was removed; change to another");
	return client->store_url;
}

mpsync_client *mpsync_client_open(
    const char *text, const mpsync_options *options, mpsync_queue *queue, mpsync_error *error)
{
	mpsync_client *client = calloc(1, sizeof *client);
	struct url url = {0};
	bool good;

	succeed(error);
	if (!crypto_survives_forks()) {
		free(client);
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
		return NULL;
	}
	if (queue && queue_check_usable(queue, error) != MPSYNC_OK) {
		free(client);
		return NULL;
	}
	if (!client) {
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
		return NULL;
	}
	atomic_init(&client->references, 1);
	pthread_mutex_init(&client->mutex, NULL);
	client->loop.timer.descriptor = -1;
	client->queue = queue_reference(queue);
	client->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	client->mark = fork_mark_new();
	client->reserved_close = calloc(1, sizeof *client->reserved_close);
	if (client->descriptor < 0 || !client->mark || !client->reserved_close) {
		fail(error, MPSYNC_E_INTERNAL, "no descriptors or memory: %s", strerror(errno));
		client_unreference(client);
		return NULL;
	}
	good = resolve(client, &url, text, options, error) && client_open_engine(client, &url, error) &&
	       keep_urls(client, &url, error);
	url_clear(&url);
	if (good && client->store->warning)
		client_tell(
		    client, &(mpsync_event){.type = MPSYNC_EVENT_LOG, .message = client->store->warning});
	if (good && client_enlist(client) && client_start_thread(client))
		return client;
	if (good)
		fail(error, MPSYNC_E_INTERNAL, "cannot start a thread");
	client_delist(client);
	client_free_engine(client);
	client_unreference(client);
	return NULL;
}

const char *mpsync_client_url(const mpsync_client *client)
{
	return client ? client->url : NULL;
}

/* ---- Closing ---- */

static void run_close(mpsync_client *client, struct command *base)
{
	struct close_command *command = (struct close_command *)base;

	if (client->closing) {
		client_end_op(client, &command->op,
		    &(mpsync_event){.type = MPSYNC_EVENT_DONE, .status = MPSYNC_E_CLOSED});
		return;
	}
	client->closing = true;
	client->close_op = command->op;
	client->open_requests++;
	client_close_runs(client);
	engine_stop(client->engine);
	client_request_ended(client);
}

/* Takes the command over. NULL: there was no memory for the command. */
static mpsync_status close_client(
    mpsync_client *client, struct close_command *command, uint64_t op_id, mpsync_error *error)
{
	if (!command)
		return fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	command->command.run = run_close;
	command->op = (struct op){.id = op_id, .open = true};
	return client_submit(client, &command->command, error);
}

mpsync_status mpsync_client_close_start(mpsync_client *client, uint64_t op_id, mpsync_error *error)
{
	const mpsync_status status = client_check_usable(client, error);

	if (status != MPSYNC_OK)
		return status;
	return close_client(client, calloc(1, sizeof(struct close_command)), op_id, error);
}

void mpsync_client_close(mpsync_client *client)
{
	if (!client)
		return;
	client_delist(client);
	if (client_check_usable(client, NULL) == MPSYNC_OK) {
		close_client(client, client->reserved_close, 0, NULL);
		client->reserved_close = NULL;
		if (pthread_equal(pthread_self(), client->thread))
			pthread_detach(client->thread);
		else
			pthread_join(client->thread, NULL);
	}
	client_unreference(client);
}

void client_close_at_exit(mpsync_client *client)
{
	if (!client->reserved_close)
		return;
	close_client(client, client->reserved_close, 0, NULL);
	client->reserved_close = NULL;
}

bool client_has_ended(mpsync_client *client)
{
	bool closed;

	pthread_mutex_lock(&client->mutex);
	closed = client->closed;
	pthread_mutex_unlock(&client->mutex);
	return closed;
}
