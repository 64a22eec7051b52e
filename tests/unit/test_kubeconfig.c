/*
 * Goal: what a kubeconfig says is meant or refused, never passed over: who is impersonated, which
 * server, which file beside it; and where none is, the words say what to do.
 */
#include "unit.h"

#include "failing.h"
#include "stores/kubernetes/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SERVER     "clusters: [{name: c, cluster: {server: 'https://server'}}]\n"
#define CONTEXT    "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"
#define USER(text) CONTEXT SERVER "users: [{name: u, user: {" text "}}]\n"

#define PLUGIN(version, text)                                                                      \
	USER("exec: {command: c, apiVersion: client.authentication.k8s.io/" version text "}")

static long failing; /* the nth allocation of a load; 0: none does */

/* The options are cleared. */
static bool load_with(struct kube_config *config, const char *text, struct mpsync_options *options,
    mpsync_error *error)
{
	const int file = memfd_create("kubeconfig", MFD_CLOEXEC);
	char path[64];
	bool loaded;

	snprintf(path, sizeof path, "/proc/self/fd/%d", file);
	assert_int_equal(write(file, text, strlen(text)), strlen(text));
	mpsync_options_set(options, "kubeconfig", path, NULL);
	*config = (struct kube_config){0};
	if (failing)
		failing_from(failing, 1);
	loaded = kube_config_load(config, options, "", error);
	options_clear(options);
	close(file);
	return loaded;
}

static bool load(struct kube_config *config, const char *text, const char *context, long nth,
    mpsync_error *error)
{
	struct mpsync_options options = {{0}};

	mpsync_options_set(&options, "context", context, NULL);
	failing = nth;
	return load_with(config, text, &options, error);
}

static const struct {
	const char *text;
	enum mpsync_status status;
	const char *message; /* a part of it */
} refused[] = {
    {SERVER, MPSYNC_E_INVALID, "current-context"},
    {"current-context: other\n" SERVER, MPSYNC_E_INVALID, "has no context \"other\""},
    {"current-context: x\ncontexts: [{name: x, context: {user: u}}]\n", MPSYNC_E_INVALID,
        "context \"x\" names no cluster"},
    {CONTEXT "clusters: [{name: c, cluster: {server: 'ftp://server'}}]\n", MPSYNC_E_INVALID,
        "no http or https URL"},
    {CONTEXT "clusters: [{name: c, cluster: {}}]\n", MPSYNC_E_INVALID, "no http or https URL"},
    {CONTEXT SERVER, MPSYNC_E_INVALID, "has no user \"u\""},
    {USER("color: red"), MPSYNC_E_UNSUPPORTED, "color"},
    {USER("auth-provider: {name: gcp}"), MPSYNC_E_UNSUPPORTED, "auth-provider"},
    {USER("client-certificate-data: '*'"), MPSYNC_E_INVALID, "client-certificate-data"},
    {USER("as-uid: '7'"), MPSYNC_E_INVALID, "\"as\" does not say whom"},
    {USER("as: [a]"), MPSYNC_E_INVALID, "\"as\" does not say whom"},
    {USER("as: \"a\\r\\nHost: b\""), MPSYNC_E_INVALID, "Impersonate-User is no text of one line"},
    {USER("as: a, as-groups: g"), MPSYNC_E_INVALID, "Impersonate-Group is no text of one line"},
    {USER("as: a, as-groups: [[g]]"), MPSYNC_E_INVALID, "Impersonate-Group is no text of one line"},
    {USER("as: a, as-user-extra: [k]"), MPSYNC_E_INVALID, "Impersonate-Extra is no text"},
    {USER("as: a, as-user-extra: {k: v}"), MPSYNC_E_INVALID, "Impersonate-Extra-k is no text"},
    {USER("as: a, as-user-extra: {k: [[v]]}"), MPSYNC_E_INVALID, "Impersonate-Extra-k is no text"},
    {USER("as: \"a\\x7f\""), MPSYNC_E_INVALID, "Impersonate-User is no text of one line"},
    {USER("token: t, username: me"), MPSYNC_E_INVALID, "more than one way to say who asks"},
    {USER("tokenFile: t, username: me"), MPSYNC_E_INVALID, "more than one way to say who asks"},
    {USER("client-certificate: c, client-certificate-data: eA=="), MPSYNC_E_INVALID,
        "both client-certificate and client-certificate-data"},
    {USER("client-key: k, client-key-data: eA=="), MPSYNC_E_INVALID,
        "both client-key and client-key-data"},
    {USER("client-certificate: c"), MPSYNC_E_INVALID, "c has no client-key beside it"},
    {USER("client-certificate-data: eA=="), MPSYNC_E_INVALID, "has no client-key beside it"},
    /* "ENCRYPTED" */
    {USER("client-certificate-data: eA==, client-key-data: RU5DUllQVEVE"), MPSYNC_E_INVALID,
        "is encrypted"},
    {USER("exec: {}"), MPSYNC_E_INVALID, "names no command"},
    {USER("exec: []"), MPSYNC_E_INVALID, "names no command"},
    {USER("exec: {command: c}"), MPSYNC_E_INVALID, "no apiVersion"},
    {PLUGIN("v1alpha1", ""), MPSYNC_E_INVALID, "v1alpha1"},
    {USER("exec: {command: c, apiVersion: v1}"), MPSYNC_E_INVALID, "apiVersion other than"},
    {PLUGIN("v1", ", interactiveMode: Always"), MPSYNC_E_INVALID, "interactiveMode other than"},
    {PLUGIN("v1", ", args: text"), MPSYNC_E_INVALID, "args that are no list of texts"},
    {PLUGIN("v1", ", args: [[text]]"), MPSYNC_E_INVALID, "args that are no list of texts"},
    {PLUGIN("v1", ", env: text"), MPSYNC_E_INVALID, "env that is no list"},
    {PLUGIN("v1", ", env: [{value: v}]"), MPSYNC_E_INVALID, "env that is no list"},
    {PLUGIN("v1", ", env: [{name: A, value: [v]}]"), MPSYNC_E_INVALID, "env that is no list"},
};

static void test_what_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		struct kube_config config;
		mpsync_error error = {0};

		if (load(&config, refused[i].text, NULL, 0, &error))
			fail_msg("%s", refused[i].text);
		if (error.status != refused[i].status || !strstr(error.message, refused[i].message))
			fail_msg("%s: %d %s", refused[i].text, error.status, error.message);
		kube_config_clear(&config);
	}
}

static const char all_of_it[] =
    "current-context: other\n"
    "contexts:\n"
    "- {name: other, context: {cluster: none}}\n"
    "- {name: x, context: {cluster: c, user: u, namespace: team}}\n"
    "clusters:\n"
    "- {name: b, cluster: {server: 'http://other'}}\n"
    "- name: c\n"
    "  cluster: {server: 'HTTPS://Server', certificate-authority: ca.pem, tls-server-name: name,\n"
    "    proxy-url: 'http://proxy', disable-compression: true,\n"
    "    extensions: [{name: client.authentication.k8s.io/exec, extension: {audience: us}}]}\n"
    "users:\n"
    "- name: u\n"
    "  user: {client-certificate: /etc/cert.pem, client-key: key.pem, token: secret, tokenFile: "
    "t,\n"
    "    as: boss, as-uid: '7', as-groups: [g, h],\n"
    "    as-user-extra: {a/b: [one, two]}}\n";

static void expect_all(const struct kube_config *config)
{
	static const char *const headers[] = {"Impersonate-User: boss", "Impersonate-Uid: 7",
	    "Impersonate-Group: g", "Impersonate-Group: h", "Impersonate-Extra-a%2Fb: one",
	    "Impersonate-Extra-a%2Fb: two"};

	for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
		assert_string_equal(config->headers[i], headers[i]);
	assert_null(config->headers[sizeof headers / sizeof *headers]);
	assert_string_equal(config->namespace_name, "team");
	assert_string_equal(config->cert, "/etc/cert.pem");
	assert_string_equal(config->key, "/proc/self/fd/key.pem");
	assert_string_equal(config->ca, "/proc/self/fd/ca.pem");
	assert_string_equal(config->server_name, "name");
	assert_string_equal(config->proxy, "http://proxy");
	assert_string_equal(config->token, "secret");
}

/* And without memory either all of it is meant, or nothing is loaded: never one header less. */
static void test_all_of_it_or_nothing(void **state)
{
	struct kube_config config;
	bool failed = true;

	(void)state;
	for (long nth = 1; failed; nth++) {
		mpsync_error error = {0};
		bool loaded;

		loaded = load(&config, all_of_it, "x", nth, &error);
		failed = failing_end();
		if (loaded)
			expect_all(&config);
		else if (!failed || error.status == MPSYNC_OK)
			fail_msg("allocation %ld: %d %s", nth, error.status, error.message);
		kube_config_clear(&config);
	}
}

/* Goal: what says nothing is passed over, and credentials of any other kind go before a plugin. */
static void test_what_is_meant(void **state)
{
	struct kube_config config;

	(void)state;
	assert_true(load(&config, USER("as: a, as-groups: null, as-user-extra: null"), NULL, 0, NULL));
	assert_string_equal(config.headers[0], "Impersonate-User: a");
	assert_null(config.headers[1]);
	assert_null(config.exec);
	kube_config_clear(&config);
	assert_true(load(&config, USER("username: me, password: p, exec: null"), NULL, 0, NULL));
	assert_string_equal(config.user, "me");
	assert_string_equal(config.password, "p");
	kube_config_clear(&config);
	assert_true(load(&config,
	    PLUGIN("v1beta1", ", interactiveMode: IfAvailable, args: null, env: null"), NULL, 0, NULL));
	assert_non_null(config.exec);
	assert_string_equal(config.exec_folder, "/proc/self/fd/");
	kube_config_clear(&config);
	assert_true(load(&config,
	    PLUGIN(
	        "v1", ", interactiveMode: Never, args: [a], env: [{name: A, value: null}, {name: B}]"),
	    NULL, 0, NULL));
	assert_non_null(config.exec);
	kube_config_clear(&config);
	assert_true(load(&config,
	    USER("token: t, exec: {command: c, apiVersion: client.authentication.k8s.io/v1}"), NULL, 0,
	    NULL));
	assert_string_equal(config.token, "t");
	assert_null(config.exec);
	kube_config_clear(&config);
}

/* Goal: a file that an option names takes the place of what the kubeconfig has, in whatever form.
 */
static void test_options_take_the_place_of_what_it_says(void **state)
{
	static const char text[] = CONTEXT
	    "clusters: [{name: c, cluster: {server: 'https://server',"
	    " certificate-authority-data: eA==}}]\n"
	    "users: [{name: u, user: {client-certificate-data: eA==, client-key: /nowhere/key}}]\n";
	struct mpsync_options options = {{0}};
	struct kube_config config;
	mpsync_error error = {0};

	(void)state;
	failing = 0;
	mpsync_options_set(&options, "ca", "/etc/ca.pem", NULL);
	mpsync_options_set(&options, "cert", "/etc/cert.pem", NULL);
	mpsync_options_set(&options, "key", "/etc/key.pem", NULL);
	if (!load_with(&config, text, &options, &error))
		fail_msg("%s", error.message);
	assert_string_equal(config.ca, "/etc/ca.pem");
	assert_string_equal(config.cert, "/etc/cert.pem");
	assert_string_equal(config.key, "/etc/key.pem");
	assert_null(config.ca_pem);
	assert_null(config.cert_pem);
	kube_config_clear(&config);
}

static void test_no_file_of_several_is_there(void **state)
{
	struct kube_config config = {0};
	mpsync_error error = {0};

	(void)state;
	assert_false(kubeconfig_load(&config, "/nowhere/a:/nowhere/b", NULL, &error));
	assert_non_null(strstr(error.message, "none of the kubeconfigs"));
	kube_config_clear(&config);
	assert_false(kubeconfig_load(&config, "/nowhere/a", NULL, &error));
	assert_non_null(strstr(error.message, "/nowhere/a"));
	kube_config_clear(&config);
}

/* Outside of a pod, and in one whose account was taken away. */
static void test_nothing_says_where(void **state)
{
	const struct mpsync_options options = {{0}};
	struct kube_config config = {0};
	mpsync_error error = {0};

	(void)state;
	unsetenv("KUBECONFIG");
	unsetenv("KUBERNETES_SERVICE_HOST");
	setenv("HOME", "/nowhere", 1);
	assert_false(kube_config_load(&config, &options, "", &error));
	assert_int_equal(error.status, MPSYNC_E_UNREACHABLE);
	setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1", 1);
	assert_false(kube_config_load(&config, &options, "", &error));
	assert_int_equal(error.status, MPSYNC_E_UNAUTHENTICATED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_is_refused),
	    cmocka_unit_test(test_what_is_meant),
	    cmocka_unit_test(test_all_of_it_or_nothing),
	    cmocka_unit_test(test_options_take_the_place_of_what_it_says),
	    cmocka_unit_test(test_no_file_of_several_is_there),
	    cmocka_unit_test(test_nothing_says_where),
	};

	failing_install(true);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
