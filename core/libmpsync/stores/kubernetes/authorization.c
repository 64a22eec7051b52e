#include "authorization.h"

#include "base/base64.h"
#include "base/rfc3339.h"
#include "exec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The kubelet replaces a token file long before the old token ends, so reading it this often is
 * enough.
 */
#define TOKEN_FILE_MS 10000
/*
 * The next credential is asked for this long before the present one ends, or in the last third of
 * its life: a plugin may take its time, and the present one serves meanwhile.
 */
#define REFRESH_MS 60000
/* A plugin that gave the same credential again is not asked again before this time. */
#define ASK_AGAIN_MS 5000
/* A credential that ends within this time may have ended when it arrives at the server. */
#define EXPIRY_MARGIN_MS 1000

static uint64_t now(const struct kube_authorization *who)
{
	return who->clock.boot_ms(who->clock.context);
}

static int64_t wall_ms(const struct kube_authorization *who)
{
	return who->clock.wall_ms(who->clock.context);
}

static bool set_header(struct kube_authorization *who, const char *kind, const char *secret)
{
	free(who->header);
	if (asprintf(&who->header, "%s %s", kind, secret) < 0)
		who->header = NULL;
	return who->header;
}

static bool use_password(struct kube_authorization *who)
{
	char *plain = NULL;
	char *encoded = NULL;
	bool good = false;

	if (asprintf(&plain, "%s:%s", who->config->user,
	        who->config->password ? who->config->password : "") < 0)
		return false;
	encoded = base64_encode(plain);
	if (encoded)
		good = set_header(who, "Basic", encoded);
	free(encoded);
	free(plain);
	return good;
}

/* Removes blanks and line breaks around the token, which editors leave. */
static char *trim(char *text)
{
	static const char blanks[] = " \t\r\n\v\f";
	size_t length;

	text += strspn(text, blanks);
	for (length = strlen(text); length > 0 && strchr(blanks, text[length - 1]);)
		text[--length] = '\0';
	return text;
}

static bool use_token_file(struct kube_authorization *who)
{
	char *token;
	bool good;

	if (who->token_read_ms && now(who) < who->token_read_ms + TOKEN_FILE_MS)
		return true;
	token = file_read(who->config->token_file);
	if (!token) {
		snprintf(who->problem, sizeof who->problem, "the token file %.200s cannot be read: %s",
		    who->config->token_file, strerror(errno));
		/* The token that was read before may still be valid. */
		return who->header;
	}
	good = set_header(who, "Bearer", trim(token));
	free(token);
	who->token_read_ms = now(who);
	return good;
}

static bool replace_pem(char **to, const cJSON *status, const char *key)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(status, key));

	if (!text)
		return true;
	free(*to);
	*to = strdup(text);
	return *to;
}

static int64_t refresh_margin_ms(const struct kube_authorization *who)
{
	const int64_t life_ms = who->expires_ms - wall_ms(who);

	return life_ms / 3 < REFRESH_MS ? life_ms / 3 : REFRESH_MS;
}

static bool take_credential(struct kube_authorization *who, const cJSON *status, bool *certificate)
{
	const char *token = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(status, "token"));
	const char *end =
	    cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(status, "expirationTimestamp"));
	int64_t end_us;

	who->expires_ms = end && rfc3339_read(end, &end_us) ? end_us / 1000 : 0;
	who->refresh_ms = who->expires_ms - refresh_margin_ms(who);
	if (token && !set_header(who, "Bearer", token))
		return false;
	if (!cJSON_GetObjectItemCaseSensitive(status, "clientCertificateData"))
		return true;
	*certificate = replace_pem(&who->config->cert_pem, status, "clientCertificateData") &&
	               replace_pem(&who->config->key_pem, status, "clientKeyData");
	return *certificate;
}

static bool has_expired(const struct kube_authorization *who)
{
	return who->expires_ms && wall_ms(who) > who->expires_ms - EXPIRY_MARGIN_MS;
}

static void on_exec_done(void *context, const cJSON *status, const char *problem)
{
	struct kube_authorization *who = context;
	bool certificate = false;

	who->exec = NULL;
	snprintf(who->problem, sizeof who->problem, "%s", problem);
	/* The former credentials serve until they end. */
	if (status)
		who->has_credentials = take_credential(who, status, &certificate);
	else if (has_expired(who))
		who->has_credentials = false;
	who->just_asked = true;
	who->asked(who->context, certificate);
	who->just_asked = false;
}

static bool is_to_be_refreshed(const struct kube_authorization *who)
{
	return who->expires_ms && wall_ms(who) > who->refresh_ms &&
	       now(who) > who->asked_ms + ASK_AGAIN_MS;
}

static void start_plugin(struct kube_authorization *who)
{
	const char *command =
	    cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(who->config->exec, "command"));

	if (who->exec)
		return;
	snprintf(who->silence, sizeof who->silence, "the credential plugin %.120s does not answer",
	    command ? command : "");
	who->asked_ms = now(who);
	who->exec = kube_exec_start(
	    who->loop, who->config, on_exec_done, who, who->problem, sizeof who->problem);
}

static enum request_permit ask_plugin(struct kube_authorization *who)
{
	const bool good = who->has_credentials && (who->just_asked || !has_expired(who));

	if (!good || is_to_be_refreshed(who))
		start_plugin(who);
	if (good)
		return REQUEST_MAY_GO;
	return who->exec ? REQUEST_HAS_TO_WAIT : REQUEST_MAY_NOT_GO;
}

enum request_permit kube_authorization_prepare(struct kube_authorization *who)
{
	bool good = true;

	if (who->config->exec)
		return ask_plugin(who);
	if (who->config->token_file)
		good = use_token_file(who);
	else if (who->config->token && !who->header)
		good = set_header(who, "Bearer", who->config->token);
	else if (who->config->user && !who->header)
		good = use_password(who);
	return good ? REQUEST_MAY_GO : REQUEST_MAY_NOT_GO;
}

bool kube_authorization_refresh(struct kube_authorization *who)
{
	who->token_read_ms = 0;
	who->has_credentials = false;
	return who->config->exec || who->config->token_file;
}

const char *kube_authorization_silence(const struct kube_authorization *who)
{
	return who->exec ? who->silence : NULL;
}

void kube_authorization_clear(struct kube_authorization *who)
{
	kube_exec_cancel(who->exec);
	free(who->header);
}
