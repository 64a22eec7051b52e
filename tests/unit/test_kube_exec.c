/* A credential plugin as kubectl runs it: what it prints, how it ends, and that it can be ended. */
#include "unit.h"

#include "failing.h"
#include "stores/kubernetes/exec.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct answered {
	bool done;
	char token[64];
	char problem[400];
};

static void on_done(void *context, const cJSON *status, const char *problem)
{
	struct answered *answered = context;
	const char *token = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(status, "token"));

	answered->done = true;
	snprintf(answered->token, sizeof answered->token, "%s", token ? token : "");
	snprintf(answered->problem, sizeof answered->problem, "%s", problem ? problem : "");
}

/* A plugin is this shell script; NULL: another command. */
static struct kube_config config_of(const char *script, const char *command)
{
	struct kube_config config = {.server = (char *)"https://server",
	    .server_name = (char *)"name",
	    .ca_pem = (char *)"authority",
	    .proxy = (char *)"http://proxy",
	    .unverified = true,
	    .compresses_not = true,
	    .exec_folder = (char *)"/nowhere/"};
	cJSON *arguments;

	config.exec = cJSON_CreateObject();
	cJSON_AddStringToObject(config.exec, "apiVersion", "client.authentication.k8s.io/v1");
	cJSON_AddStringToObject(config.exec, "command", command);
	cJSON_AddStringToObject(config.exec, "installHint", "install it");
	cJSON_AddTrueToObject(config.exec, "provideClusterInfo");
	if (script) {
		arguments = cJSON_AddArrayToObject(config.exec, "args");
		cJSON_AddItemToArray(arguments, cJSON_CreateString("-c"));
		cJSON_AddItemToArray(arguments, cJSON_CreateString(script));
	}
	return config;
}

static struct answered run(const char *script)
{
	struct answered answered = {.done = false};
	struct loop loop = {.base = event_base_new()};
	struct kube_config config = config_of(script, "sh");
	char problem[400] = "";

	if (!kube_exec_start(&loop, &config, on_done, &answered, problem, sizeof problem))
		fail_msg("%s", problem);
	while (!answered.done)
		event_base_loop(loop.base, EVLOOP_ONCE);
	cJSON_Delete((cJSON *)config.exec);
	event_base_free(loop.base);
	return answered;
}

static void is_said(const struct answered *answered, const char *text)
{
	assert_string_equal(answered->token, "");
	if (!strstr(answered->problem, text))
		fail_msg("%s: %s", text, answered->problem);
}

#define PRINT(status)                                                                              \
	"echo '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\","       \
	"\"status\":" status "}'"

static void test_its_token_is_read(void **state)
{
	const struct answered answered = run(PRINT("{\"token\":\"secret\"}"));

	(void)state;
	assert_string_equal(answered.token, "secret");
	assert_string_equal(answered.problem, "");
}

/* Goal: it is told of its caller's cluster, as kubectl tells it. */
static void test_it_is_told_of_its_cluster(void **state)
{
	const struct answered answered =
	    run("for part in '\"server\":\"https://server\"' '\"tls-server-name\":\"name\"' "
	        "'\"insecure-skip-tls-verify\":true' '\"certificate-authority-data\":\"YXV0aG9yaXR5\"' "
	        "'\"proxy-url\":\"http://proxy\"' '\"disable-compression\":true' "
	        "'\"interactive\":false'; do "
	        "case $KUBERNETES_EXEC_INFO in *\"$part\"*) ;; *) exit 9;; esac; done; " PRINT(
	            "{\"token\":\"told\"}"));

	(void)state;
	assert_string_equal(answered.token, "told");
}

static void test_how_it_failed_is_said(void **state)
{
	struct answered answered = run("exit 3");

	(void)state;
	is_said(&answered, "exit code 3");
	answered = run("kill -TERM $$");
	is_said(&answered, "signal 15");
	answered = run("echo nonsense");
	is_said(&answered, "printed no ExecCredential");
}

static void test_what_cannot_be_started_is_said_with_its_hint(void **state)
{
	static const char *const commands[] = {"/nowhere/plugin", "no-such-plugin", "./plugin"};
	struct loop loop = {.base = event_base_new()};

	(void)state;
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		struct kube_config config = config_of(NULL, commands[i]);
		char problem[400] = "";

		assert_null(kube_exec_start(&loop, &config, on_done, NULL, problem, sizeof problem));
		assert_non_null(strstr(problem, "does not start"));
		assert_non_null(strstr(problem, "install it"));
		cJSON_Delete((cJSON *)config.exec);
	}
	event_base_free(loop.base);
}

/* Goal: one that hangs keeps nobody from closing a client. */
static void test_one_that_hangs_is_ended(void **state)
{
	struct answered answered = {.done = false};
	struct loop loop = {.base = event_base_new()};
	struct kube_config config = config_of("exec sleep 1000", "sh");
	char problem[400] = "";

	(void)state;
	kube_exec_cancel(kube_exec_start(&loop, &config, on_done, &answered, problem, sizeof problem));
	assert_false(answered.done);
	cJSON_Delete((cJSON *)config.exec);
	event_base_free(loop.base);
}

/* Goal: without memory it is not started, or said to have failed, and never told less than all of
 * its cluster, heard by half, or waited for in vain. */
static bool run_without_memory(struct loop *loop, const struct kube_config *config, long nth)
{
	struct answered answered = {.done = false};
	char problem[400] = "";
	bool failed;

	failing_from(nth, 1);
	if (kube_exec_start(loop, config, on_done, &answered, problem, sizeof problem))
		while (!answered.done)
			event_base_loop(loop->base, EVLOOP_ONCE);
	else
		assert_non_null(strstr(problem, "memory"));
	failed = failing_end();
	assert_true(failed || answered.done);
	if (answered.done && !*answered.problem)
		assert_string_equal(answered.token, "told");
	else if (answered.done)
		assert_null(strstr(answered.problem, "exit code"));
	return failed;
}

static void test_without_memory(void **state)
{
	struct loop loop = {.base = event_base_new()};
	struct kube_config config =
	    config_of("for part in '\"kind\":\"ExecCredential\"' '\"apiVersion\":' "
	              "'\"interactive\":false' '\"server\":\"https://server\"' "
	              "'\"disable-compression\":true'; do "
	              "case $KUBERNETES_EXEC_INFO in *\"$part\"*) ;; *) exit 9;; esac; done; "
	              "test \"$SET\" = here || exit 8; " PRINT("{\"token\":\"told\"}"),
	        "sh");
	cJSON *variable = cJSON_CreateObject();

	(void)state;
	cJSON_AddStringToObject(variable, "name", "SET");
	cJSON_AddStringToObject(variable, "value", "here");
	cJSON_AddItemToArray(cJSON_AddArrayToObject((cJSON *)config.exec, "env"), variable);
	clearenv();
	setenv("PATH", "/bin:/usr/bin", 1);
	for (long nth = 1; run_without_memory(&loop, &config, nth); nth++)
		assert_true(nth < 2000);
	cJSON_Delete((cJSON *)config.exec);
	event_base_free(loop.base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_its_token_is_read),
	    cmocka_unit_test(test_it_is_told_of_its_cluster),
	    cmocka_unit_test(test_how_it_failed_is_said),
	    cmocka_unit_test(test_what_cannot_be_started_is_said_with_its_hint),
	    cmocka_unit_test(test_one_that_hangs_is_ended),
	    cmocka_unit_test(test_without_memory),
	};

	failing_install(true);
	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
