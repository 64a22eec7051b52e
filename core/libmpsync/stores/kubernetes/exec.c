#include "exec.h"

#include "base/base64.h"
#include "credential.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * A plugin has this long: the old credential serves meanwhile, as the next one is asked for early.
 */
#define LIMIT_S     60
#define NO_ANSWER   "did not answer in 60 s"
#define NO_MEMORY   "cannot be heard: out of memory"
#define REAP_MS     10
#define MOST_OUTPUT (256 * 1024)
#define MOST_WORDS  4096

struct kube_exec {
	kube_exec_done *done;
	void *context;
	char *command;
	struct event *readable;
	struct event *timer;
	int descriptor;
	pid_t pid;
	int waited_ms; /* since its output ended */
	char *output;
	size_t length;
};

static const char *text(const cJSON *object, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

static void release(struct kube_exec *exec)
{
	if (exec->readable)
		event_free(exec->readable);
	if (exec->timer)
		event_free(exec->timer);
	if (exec->descriptor >= 0)
		close(exec->descriptor);
	free(exec->command);
	free(exec->output);
	free(exec);
}

void kube_exec_cancel(struct kube_exec *exec)
{
	if (!exec)
		return;
	if (exec->pid > 0) {
		kill(exec->pid, SIGKILL);
		waitpid(exec->pid, NULL, 0);
	}
	release(exec);
}

/* ---- Its answer ---- */

static void finish(struct kube_exec *exec, const cJSON *status, const char *problem)
{
	exec->done(exec->context, status, problem);
	release(exec);
}

static void finish_with_output(struct kube_exec *exec, int ended)
{
	cJSON *credential;
	const cJSON *status = kube_credential_read(exec->output, &credential);
	char problem[300] = "";

	if (ended != 0)
		snprintf(problem, sizeof problem, "the credential plugin %.150s failed (%s %d)",
		    exec->command, WIFSIGNALED(ended) ? "signal" : "exit code",
		    WIFSIGNALED(ended) ? WTERMSIG(ended) : WEXITSTATUS(ended));
	else if (!status)
		snprintf(problem, sizeof problem,
		    "the credential plugin %.150s printed no ExecCredential with a token or a certificate",
		    exec->command);
	finish(exec, *problem ? NULL : status, problem);
	cJSON_Delete(credential);
}

/* False without memory. */
static bool arm(struct kube_exec *exec, int ms)
{
	const struct timeval after = {ms / 1000, ms % 1000 * 1000};

	return evtimer_add(exec->timer, &after) == 0;
}

static void give_up(struct kube_exec *exec, const char *why)
{
	char problem[300];

	snprintf(problem, sizeof problem, "the credential plugin %.150s %s", exec->command, why);
	kill(exec->pid, SIGKILL);
	waitpid(exec->pid, NULL, 0);
	exec->pid = 0;
	finish(exec, NULL, problem);
}

/*
 * A plugin ends a moment after its output does. In a program that ignores SIGCHLD there is no child
 * to wait for.
 */
static void reap(struct kube_exec *exec)
{
	int ended = 0;
	const pid_t reaped = waitpid(exec->pid, &ended, WNOHANG);

	if (reaped == 0 && exec->waited_ms < LIMIT_S * 1000) {
		exec->waited_ms += REAP_MS;
		if (!arm(exec, REAP_MS))
			give_up(exec, NO_MEMORY);
	} else if (reaped == 0) {
		give_up(exec, NO_ANSWER);
	} else {
		exec->pid = 0;
		finish_with_output(exec, reaped > 0 ? ended : 0);
	}
}

static void on_timer(evutil_socket_t descriptor, short what, void *context)
{
	struct kube_exec *exec = context;

	(void)descriptor, (void)what;
	if (exec->readable)
		give_up(exec, NO_ANSWER);
	else
		reap(exec);
}

static void on_readable(evutil_socket_t descriptor, short what, void *context)
{
	struct kube_exec *exec = context;
	char bytes[4096];
	const ssize_t length = read(descriptor, bytes, sizeof bytes);
	char *more;

	(void)what;
	if (length < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (length > 0 && exec->length + (size_t)length < MOST_OUTPUT) {
		more = realloc(exec->output, exec->length + (size_t)length + 1);
		if (!more) {
			give_up(exec, NO_MEMORY); /* the rest would be another answer */
			return;
		}
		exec->output = more;
		memcpy(more + exec->length, bytes, (size_t)length);
		exec->length += (size_t)length;
		more[exec->length] = '\0';
		return;
	}
	event_free(exec->readable);
	exec->readable = NULL;
	reap(exec);
}

/* ---- Its start ---- */

/* The plugin gets the authority's PEM text, even where the kubeconfig has a path. */
static bool add_authority(cJSON *cluster, const struct kube_config *config)
{
	char *file = config->ca && !config->ca_pem ? file_read(config->ca) : NULL;
	const char *pem = config->ca_pem ? config->ca_pem : file;
	char *encoded = pem ? base64_encode(pem) : NULL;
	const bool good = !pem || (encoded && cJSON_AddStringToObject(cluster,
	                                          "certificate-authority-data", encoded) != NULL);

	free(encoded);
	free(file);
	return good;
}

static bool describe_cluster(cJSON *cluster, const struct kube_config *config)
{
	/* The plugin inherits a proxy of the environment anyway. */
	const char *proxy = config->no_proxy ? NULL : config->proxy;
	cJSON *extension =
	    config->exec_extension ? cJSON_Duplicate(config->exec_extension, true) : cJSON_CreateNull();

	if (!cJSON_AddItemToObject(cluster, "config", extension)) {
		cJSON_Delete(extension);
		return false;
	}
	return cJSON_AddStringToObject(cluster, "server", config->server) &&
	       (!config->server_name ||
	           cJSON_AddStringToObject(cluster, "tls-server-name", config->server_name)) &&
	       (!config->unverified || cJSON_AddTrueToObject(cluster, "insecure-skip-tls-verify")) &&
	       add_authority(cluster, config) &&
	       (!proxy || cJSON_AddStringToObject(cluster, "proxy-url", proxy)) &&
	       (!config->compresses_not || cJSON_AddTrueToObject(cluster, "disable-compression"));
}

/*
 * What the plugin is told of the cluster (KUBERNETES_EXEC_INFO). Owned by the caller; NULL without
 * memory.
 */
static char *exec_info(const struct kube_config *config)
{
	const cJSON *exec = config->exec;
	cJSON *info = cJSON_CreateObject();
	cJSON *spec;
	cJSON *cluster = NULL;
	char *printed;
	char *variable = NULL;
	bool good = cJSON_AddStringToObject(info, "kind", "ExecCredential") &&
	            cJSON_AddStringToObject(info, "apiVersion", text(exec, "apiVersion"));

	spec = cJSON_AddObjectToObject(info, "spec");
	good = good && cJSON_AddFalseToObject(spec, "interactive");
	if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(exec, "provideClusterInfo"))) {
		cluster = cJSON_AddObjectToObject(spec, "cluster");
		good = good && cluster && describe_cluster(cluster, config);
	}
	printed = good ? cJSON_PrintUnformatted(info) : NULL;
	cJSON_Delete(info);
	if (!printed || asprintf(&variable, "KUBERNETES_EXEC_INFO=%s", printed) < 0)
		variable = NULL;
	cJSON_free(printed);
	return variable;
}

struct words {
	char *list[MOST_WORDS + 1];
	size_t count;
};

static bool add_word(struct words *words, char *word)
{
	if (!word || words->count == MOST_WORDS) {
		free(word);
		return false;
	}
	words->list[words->count++] = word;
	return true;
}

static void clear_words(struct words *words)
{
	while (words->count > 0)
		free(words->list[--words->count]);
}

static bool collect_arguments(struct words *words, const cJSON *exec, const char *command)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(exec, "args");
	const cJSON *item;
	bool good = add_word(words, strdup(command));

	cJSON_ArrayForEach (item, list)
		good = good && add_word(words, strdup(item->valuestring));
	return good;
}

/* Is the variable of this pair set by one of the words already? */
static bool is_set(const struct words *words, const char *pair)
{
	const size_t length = strcspn(pair, "=") + 1;
	size_t i = 0;

	while (i < words->count && strncmp(words->list[i], pair, length) != 0)
		i++;
	return i < words->count;
}

/* The kubeconfig's variables replace inherited ones, so that no variable stands twice. */
static bool collect_environment(struct words *words, const struct kube_config *config)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(config->exec, "env");
	const cJSON *item;
	bool good = add_word(words, exec_info(config));

	cJSON_ArrayForEach (item, list) {
		char *pair = NULL;

		if (asprintf(&pair, "%s=%s", text(item, "name"),
		        text(item, "value") ? text(item, "value") : "") < 0)
			pair = NULL;
		good = add_word(words, pair) && good;
	}
	for (char **inherited = environ; *inherited && words->count < MOST_WORDS; inherited++)
		if (!is_set(words, *inherited))
			good = good && add_word(words, strdup(*inherited));
	return good;
}

static int spawn(
    pid_t *pid, int output, const struct words *arguments, const struct words *variables)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int failed;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	/* This thread blocks every signal, which the plugin must not inherit. */
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	failed = posix_spawnp(
	    pid, arguments->list[0], &actions, &attributes, arguments->list, variables->list);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return failed;
}

/*
 * As kubectl: a command with a slash is relative to the kubeconfig, one without is looked for on
 * the PATH.
 */
static char *command_path(const struct kube_config *config)
{
	const char *command = text(config->exec, "command");
	char *path = NULL;

	if (!command)
		return NULL;
	if (command[0] == '/' || !strchr(command, '/'))
		return strdup(command);
	return asprintf(&path, "%s%s", config->exec_folder, command) < 0 ? NULL : path;
}

static const char *start(struct kube_exec *exec, const struct kube_config *config)
{
	struct words arguments = {.count = 0};
	struct words variables = {.count = 0};
	int ends[2];
	int failed;

	if (!exec->command)
		return text(config->exec, "command") ? "out of memory" : "no command is named";
	if (pipe2(ends, O_CLOEXEC) != 0)
		return strerror(errno);
	exec->descriptor = ends[0];
	failed = collect_arguments(&arguments, config->exec, exec->command) &&
	                 collect_environment(&variables, config)
	             ? spawn(&exec->pid, ends[1], &arguments, &variables)
	             : ENOMEM;
	close(ends[1]);
	clear_words(&arguments);
	clear_words(&variables);
	if (failed)
		exec->pid = 0;
	return failed ? strerror(failed) : NULL;
}

struct kube_exec *kube_exec_start(struct loop *loop, const struct kube_config *config,
    kube_exec_done *done, void *context, char *problem, size_t problem_size)
{
	struct kube_exec *exec = calloc(1, sizeof *exec);
	const char *hint = text(config->exec, "installHint");
	const char *why = "out of memory";

	if (exec) {
		exec->done = done;
		exec->context = context;
		exec->descriptor = -1;
		exec->command = command_path(config);
		why = start(exec, config);
	}
	if (!why) {
		exec->readable =
		    event_new(loop->base, exec->descriptor, EV_READ | EV_PERSIST, on_readable, exec);
		exec->timer = evtimer_new(loop->base, on_timer, exec);
		if (exec->readable && exec->timer && event_add(exec->readable, NULL) == 0 &&
		    arm(exec, LIMIT_S * 1000))
			return exec;
		why = "out of memory";
	}
	snprintf(problem, problem_size, "the credential plugin %.100s does not start: %.80s%s%.100s",
	    exec && exec->command ? exec->command : "", why, hint ? ". " : "", hint ? hint : "");
	kube_exec_cancel(exec);
	return NULL;
}
