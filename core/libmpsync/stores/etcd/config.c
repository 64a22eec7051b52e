#include "config.h"

#include "base/private_key.h"
#include "base/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_PASSWORD 1024

static bool add_member(struct etcd_config *config, const char *text, size_t length, bool tls)
{
	char **member = &config->members[config->member_count];

	if (asprintf(member, "%s://%.*s", tls ? "https" : "http", (int)length, text) < 0)
		return false;
	config->member_count++;
	return true;
}

/* A list as in host:port,host:port. */
static bool add_members(struct etcd_config *config, const struct url *url, mpsync_error *error)
{
	const char *text = url->target;

	while (*text) {
		const size_t length = strcspn(text, ",");

		if (config->member_count == ETCD_MOST_MEMBERS) {
			fail(error, MPSYNC_E_INVALID, "\"%.80s\" names more than %d members", url->text,
			    ETCD_MOST_MEMBERS);
			return false;
		}
		if (memchr(text, '/', length) || !memchr(text, ':', length)) {
			fail(error, MPSYNC_E_INVALID,
			    "\"%.80s\": write %s://HOST:PORT, further members behind commas", url->text,
			    url->tls ? "etcds" : "etcd");
			return false;
		}
		if (!add_member(config, text, length, url->tls)) {
			fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
			return false;
		}
		text += length;
		text += *text == ',';
	}
	return true;
}

static char *read_password(const char *path, mpsync_error *error)
{
	FILE *file = fopen(path, "re");
	char *line = calloc(1, MOST_PASSWORD);

	if (file && line && !fgets(line, MOST_PASSWORD, file))
		*line = '\0';
	if (line)
		line[strcspn(line, "\r\n")] = '\0';
	if (file)
		fclose(file);
	if (file && line && *line)
		return line;
	fail(error, MPSYNC_E_INVALID, "password_file: \"%.100s\" cannot be read, or is empty", path);
	free(line);
	return NULL;
}

/* Take from etcdctl's environment what no option says. */
static bool inherit_files_of_etcdctl(struct mpsync_options *options)
{
	static const struct {
		enum setting option;
		const char *variable;
	} table[] = {
	    {OPTION_CA, "ETCDCTL_CACERT"}, {OPTION_CERT, "ETCDCTL_CERT"}, {OPTION_KEY, "ETCDCTL_KEY"}};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		const char *value = getenv(table[i].variable);

		if (options_text(options, table[i].option) || !value || !*value)
			continue;
		options->values[table[i].option] = strdup(value);
		if (!options->values[table[i].option])
			return false;
	}
	return true;
}

/* ETCDCTL_USER is NAME:PASSWORD, or NAME with ETCDCTL_PASSWORD beside it. */
static bool set_user_of_etcdctl(struct etcd_config *config, mpsync_error *error)
{
	const char *user = getenv("ETCDCTL_USER");
	const char *password = getenv("ETCDCTL_PASSWORD");
	const size_t length = user ? strcspn(user, ":") : 0;

	if (length == 0)
		return true;
	if (user[length] == ':')
		password = user + length + 1;
	if (!password || !*password) {
		fail(error, MPSYNC_E_INVALID,
		    "ETCDCTL_USER names a user without a password; write NAME:PASSWORD, or set "
		    "ETCDCTL_PASSWORD");
		return false;
	}
	config->user = strndup(user, length);
	config->password = strdup(password);
	return config->user && config->password;
}

static bool set_user(struct etcd_config *config, mpsync_error *error)
{
	const char *user = options_text(&config->options, OPTION_USER);
	const char *file = options_text(&config->options, OPTION_PASSWORD_FILE);

	if (!user && !file)
		return set_user_of_etcdctl(config, error);
	if (!user || !file) {
		fail(
		    error, MPSYNC_E_INVALID, "etcd needs both options, user and password_file, or neither");
		return false;
	}
	config->password = read_password(file, error);
	config->user = strdup(user);
	return config->password && config->user;
}

static bool key_is_plain(
    const struct etcd_config *config, const struct url *url, mpsync_error *error)
{
	const char *key = options_text(&config->options, OPTION_KEY);

	return !url->tls || private_key_is_plain(key, NULL, key, error);
}

bool etcd_config_read(struct etcd_config *config, const struct url *url,
    const struct mpsync_options *options, mpsync_error *error)
{
	succeed(error);
	if (options_inherit(&config->options, options) && inherit_files_of_etcdctl(&config->options) &&
	    key_is_plain(config, url, error) && add_members(config, url, error) &&
	    set_user(config, error))
		return true;
	if (!error || error->status == MPSYNC_OK)
		fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	return false;
}

bool etcd_config_read_password(struct etcd_config *config)
{
	const char *file = options_text(&config->options, OPTION_PASSWORD_FILE);
	char *password = file ? read_password(file, NULL) : NULL;

	if (!password || strcmp(password, config->password) == 0) {
		free(password);
		return false;
	}
	free(config->password);
	config->password = password;
	return true;
}

void etcd_config_clear(struct etcd_config *config)
{
	for (size_t i = 0; i < config->member_count; i++)
		free(config->members[i]);
	options_clear(&config->options);
	free(config->user);
	free(config->password);
}
