/*
 * Goal: which credentials go with a request, and until when: a password, a token, the token's file
 * as the kubelet replaces it, and what a plugin has given last.
 */
#include "unit.h"

#include "stores/kubernetes/authorization.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t boot = 1000;
static int64_t wall = 1700000000000; /* 2023-11-14T22:13:20Z */

static uint64_t boot_ms(void *context)
{
	(void)context;
	return boot;
}

static int64_t wall_ms(void *context)
{
	(void)context;
	return wall;
}

static void pass(uint64_t ms)
{
	boot += ms;
	wall += (int64_t)ms;
}

static struct kube_authorization of(struct kube_config *config)
{
	return (struct kube_authorization){
	    .config = config, .clock = {.boot_ms = boot_ms, .wall_ms = wall_ms}};
}

static void test_fixed_ones(void **state)
{
	struct kube_config config = {.user = (char *)"n"};
	struct kube_authorization who = of(&config);

	(void)state;
	assert_int_equal(kube_authorization_prepare(&who), REQUEST_MAY_GO);
	assert_string_equal(who.header, "Basic bjo="); /* n: */
	assert_false(kube_authorization_refresh(&who));
	kube_authorization_clear(&who);
	config = (struct kube_config){.user = (char *)"n", .password = (char *)"p"};
	who = of(&config);
	assert_int_equal(kube_authorization_prepare(&who), REQUEST_MAY_GO);
	assert_string_equal(who.header, "Basic bjpw");
	kube_authorization_clear(&who);
	config = (struct kube_config){.token = (char *)"t"};
	who = of(&config);
	for (int i = 0; i < 2; i++)
		assert_int_equal(kube_authorization_prepare(&who), REQUEST_MAY_GO);
	assert_string_equal(who.header, "Bearer t");
	kube_authorization_clear(&who);
	config = (struct kube_config){0};
	who = of(&config);
	assert_int_equal(kube_authorization_prepare(&who), REQUEST_MAY_GO);
	assert_null(who.header);
	assert_null(kube_authorization_silence(&who));
	kube_authorization_clear(&who);
}

static void rewrite(int file, const char *text)
{
	assert_int_equal(ftruncate(file, 0), 0);
	assert_int_equal(pwrite(file, text, strlen(text), 0), strlen(text));
}

static void test_file_of_a_token(void **state)
{
	const int file = memfd_create("token", MFD_CLOEXEC);
	char path[64];
	struct kube_config config = {.token_file = path, .token = (char *)"of the kubeconfig"};
	struct kube_authorization who = of(&config);

	(void)state;
	snprintf(path, sizeof path, "/nowhere/token");
	assert_int_equal(kube_authorization_prepare(&who), REQUEST_MAY_NOT_GO);
	assert_non_null(strstr(who.problem, "/nowhere/token cannot be read: No such file"));
	snprintf(path, sizeof path, "/proc/self/fd/%d", file);
	rewrite(file, " \tfirst\r\n");
	assert_int_equal(kube_authorization_prepare(&who), REQUEST_MAY_GO);
	assert_string_equal(who.header, "Bearer first");
	rewrite(file, "second\n");
	pass(9000);
	assert_int_equal(kube_authorization_prepare(&who), REQUEST_MAY_GO);
	assert_string_equal(who.header, "Bearer first");
	pass(1000);
	assert_int_equal(kube_authorization_prepare(&who), REQUEST_MAY_GO);
	assert_string_equal(who.header, "Bearer second");
	/* The server has refused it: it is read again at once. */
	rewrite(file, "third");
	assert_true(kube_authorization_refresh(&who));
	assert_int_equal(kube_authorization_prepare(&who), REQUEST_MAY_GO);
	assert_string_equal(who.header, "Bearer third");
	/* While it is replaced, the last one serves. */
	snprintf(path, sizeof path, "/nowhere/token");
	pass(10000);
	assert_int_equal(kube_authorization_prepare(&who), REQUEST_MAY_GO);
	assert_string_equal(who.header, "Bearer third");
	kube_authorization_clear(&who);
	close(file);
}

/* ---- A plugin ---- */

static struct loop loop;
static int asked;
static bool with_certificate;

static void on_asked(void *context, bool certificate)
{
	struct kube_authorization *who = context;

	asked++;
	with_certificate = certificate;
	/* Whoever waited for it may go, or gives up. */
	assert_int_equal(kube_authorization_prepare(who),
	    who->has_credentials ? REQUEST_MAY_GO : REQUEST_HAS_TO_WAIT);
}

/* From now on the plugin prints this status; NULL: it fails. */
static void plugin_prints(struct kube_config *config, const char *status)
{
	char script[512];
	cJSON *arguments = cJSON_CreateArray();

	snprintf(script, sizeof script,
	    "echo '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\","
	    "\"status\":%s}'",
	    status ? status : "");
	cJSON_Delete(config->exec);
	config->exec = cJSON_CreateObject();
	cJSON_AddStringToObject(config->exec, "apiVersion", "client.authentication.k8s.io/v1");
	cJSON_AddStringToObject(config->exec, "command", "sh");
	cJSON_AddItemToObject(config->exec, "args", arguments);
	cJSON_AddItemToArray(arguments, cJSON_CreateString("-c"));
	cJSON_AddItemToArray(arguments, cJSON_CreateString(status ? script : "exit 3"));
}

static void answered(void)
{
	const int before = asked;

	while (asked == before)
		event_base_loop(loop.base, EVLOOP_ONCE);
}

static void awaits_plugin(struct kube_authorization *who)
{
	wall = 1700000000000;
	who->loop = &loop;
	who->asked = on_asked;
	who->context = who;
}

static void test_credentials_of_a_plugin(void **state)
{
	struct kube_config config = {.server = (char *)"https://server"};
	struct kube_authorization who = of(&config);

	(void)state;
	awaits_plugin(&who);
	plugin_prints(
	    &config, "{\"token\":\"first\",\"expirationTimestamp\":\"2023-11-14T22:18:20Z\"}");
	assert_int_equal(kube_authorization_prepare(&who), REQUEST_HAS_TO_WAIT);
	assert_non_null(strstr(kube_authorization_silence(&who), "sh does not answer"));
	answered();
	assert_null(kube_authorization_silence(&who));
	assert_string_equal(who.header, "Bearer first");
	assert_false(with_certificate);
	/* Four minutes and a second later the next ones are asked for; these serve meanwhile. */
	plugin_prints(&config, "{\"clientCertificateData\":\"C\",\"clientKeyData\":\"K\"}");
	pass(240000);
	assert_int_equal(kube_authorization_prepare(&who), REQUEST_MAY_GO);
	assert_null(who.exec);
	pass(1000);
	assert_int_equal(kube_authorization_prepare(&who), REQUEST_MAY_GO);
	assert_non_null(who.exec);
	answered();
	assert_true(with_certificate);
	assert_string_equal(config.cert_pem, "C");
	assert_string_equal(config.key_pem, "K");
	kube_authorization_clear(&who);
	free(config.cert_pem);
	free(config.key_pem);
	cJSON_Delete(config.exec);
}

/* Who has credentials keeps them to their end when the plugin fails, and not longer. */
static void test_plugin_that_fails(void **state)
{
	struct kube_config config = {.server = (char *)"https://server"};
	struct kube_authorization who = of(&config);

	(void)state;
	awaits_plugin(&who);
	plugin_prints(&config, "{\"token\":\"t\",\"expirationTimestamp\":\"2023-11-14T22:14:20Z\"}");
	assert_int_equal(kube_authorization_prepare(&who), REQUEST_HAS_TO_WAIT);
	answered();
	plugin_prints(&config, NULL);
	/* The last third of its life, and the minute's. */
	pass(41000);
	assert_int_equal(kube_authorization_prepare(&who), REQUEST_MAY_GO);
	answered();
	assert_non_null(strstr(who.problem, "exit code 3"));
	assert_true(who.has_credentials);
	/* Not again and again. */
	pass(1000);
	assert_int_equal(kube_authorization_prepare(&who), REQUEST_MAY_GO);
	assert_null(who.exec);
	pass(30000);
	assert_int_equal(kube_authorization_prepare(&who), REQUEST_HAS_TO_WAIT);
	answered();
	assert_false(who.has_credentials);
	/* The server refuses what there is. */
	assert_true(kube_authorization_refresh(&who));
	kube_authorization_clear(&who);
	cJSON_Delete(config.exec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fixed_ones),
	    cmocka_unit_test(test_file_of_a_token),
	    cmocka_unit_test(test_credentials_of_a_plugin),
	    cmocka_unit_test(test_plugin_that_fails),
	};
	int failed;

	loop.base = event_base_new();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	event_base_free(loop.base);
	return failed;
}
