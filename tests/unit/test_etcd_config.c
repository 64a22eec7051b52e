/*
 * Goal: where an etcd is and who asks is understood or refused in words, before anything is asked:
 * members, users, passwords and etcdctl's variables; and without memory nothing is half understood.
 */
#include "unit.h"

#include "failing.h"
#include "stores/etcd/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct etcd_config config;
static mpsync_error error;

/* Reads the URL, and the options in it. */
static bool reads(const char *text)
{
	struct url url;
	bool good;

	etcd_config_clear(&config);
	memset(&config, 0, sizeof config);
	if (!url_parse(&url, text, &error))
		fail_msg("%s: %s", text, error.message);
	good = etcd_config_read(&config, &url, &url.options, &error);
	url_clear(&url);
	return good;
}

static void is_refused(const char *url, const char *words)
{
	if (reads(url))
		fail_msg("%s", url);
	if (error.status != MPSYNC_E_INVALID || !strstr(error.message, words))
		fail_msg("%s: %d %s", url, error.status, error.message);
}

static void test_members(void **state)
{
	char many[256] = "etcd://";

	(void)state;
	assert_true(reads("etcd://a:1,b:2,c:3,"));
	assert_int_equal(config.member_count, 3);
	assert_string_equal(config.members[0], "http://a:1");
	assert_string_equal(config.members[2], "http://c:3");
	assert_null(config.user);
	assert_true(reads("etcds://a:1"));
	assert_string_equal(config.members[0], "https://a:1");
	is_refused("etcd://a:1,,b:2", "write etcd://HOST:PORT");
	is_refused("etcd://a:1,b", "write etcd://HOST:PORT");
	is_refused("etcds://a:1/b", "write etcds://HOST:PORT");
	for (int i = 0; i < ETCD_MOST_MEMBERS; i++)
		strcat(many, "a:1,");
	assert_true(reads(many));
	assert_int_equal(config.member_count, ETCD_MOST_MEMBERS);
	strcat(many, "a:1");
	is_refused(many, "more than 16 members");
}

/* A file that the test writes, and its URL. */
static int secret;
static char url_with_secret[128];

static void write_secret(const char *text)
{
	assert_int_equal(ftruncate(secret, 0), 0);
	assert_int_equal(pwrite(secret, text, strlen(text), 0), strlen(text));
}

static void test_passwords(void **state)
{
	(void)state;
	write_secret("first\r\nwhat follows is no part of it");
	assert_true(reads(url_with_secret));
	assert_string_equal(config.user, "root");
	assert_string_equal(config.password, "first");
	assert_false(etcd_config_read_password(&config));
	write_secret("second");
	assert_true(etcd_config_read_password(&config));
	assert_string_equal(config.password, "second");
	/* A file that is just being written does not undo what was known. */
	write_secret("");
	assert_false(etcd_config_read_password(&config));
	assert_string_equal(config.password, "second");
	is_refused(url_with_secret, "is empty");
	is_refused("etcd://a:1?user=root&password_file=/nowhere/secret", "/nowhere/secret");
	is_refused("etcd://a:1?user=root", "user and password_file");
	is_refused("etcd://a:1?password_file=/nowhere/secret", "user and password_file");
}

static void test_users_of_etcdctl(void **state)
{
	(void)state;
	setenv("ETCDCTL_USER", "root:of:it", 1);
	setenv("ETCDCTL_PASSWORD", "other", 1);
	assert_true(reads("etcd://a:1"));
	assert_string_equal(config.user, "root");
	assert_string_equal(config.password, "of:it");
	assert_false(etcd_config_read_password(&config));
	setenv("ETCDCTL_USER", "root", 1);
	assert_true(reads("etcd://a:1"));
	assert_string_equal(config.password, "other");
	setenv("ETCDCTL_PASSWORD", "", 1);
	is_refused("etcd://a:1", "a user without a password");
	unsetenv("ETCDCTL_PASSWORD");
	is_refused("etcd://a:1", "a user without a password");
	setenv("ETCDCTL_USER", "", 1);
	assert_true(reads("etcd://a:1"));
	assert_null(config.user);
	unsetenv("ETCDCTL_USER");
}

static void test_files_of_etcdctl(void **state)
{
	(void)state;
	setenv("ETCDCTL_CACERT", "/theirs/ca", 1);
	setenv("ETCDCTL_CERT", "", 1);
	setenv("ETCDCTL_KEY", "/theirs/key", 1);
	assert_true(reads("etcds://a:1?ca=/ours/ca"));
	assert_string_equal(options_text(&config.options, OPTION_CA), "/ours/ca");
	assert_null(options_text(&config.options, OPTION_CERT));
	assert_string_equal(options_text(&config.options, OPTION_KEY), "/theirs/key");
	unsetenv("ETCDCTL_CACERT");
	unsetenv("ETCDCTL_CERT");
	unsetenv("ETCDCTL_KEY");
}

static void test_encrypted_key(void **state)
{
	char path[64];

	(void)state;
	write_secret("-----BEGIN ENCRYPTED PRIVATE KEY-----\n");
	snprintf(path, sizeof path, "/proc/self/fd/%d", secret);
	setenv("ETCDCTL_KEY", path, 1);
	is_refused("etcds://a:1", "is encrypted");
	assert_true(reads("etcd://a:1"));
	unsetenv("ETCDCTL_KEY");
}

/* Each allocation fails in turn: all of it is understood, or the words say that memory is short. */
static void without_memory(const char *text)
{
	bool failed = true;
	struct url url;

	assert_true(url_parse(&url, text, NULL));
	for (long nth = 1; failed; nth++) {
		bool good;

		etcd_config_clear(&config);
		memset(&config, 0, sizeof config);
		failing_from(nth, 1);
		good = etcd_config_read(&config, &url, &url.options, &error);
		failed = failing_end();
		if (good != !failed || (failed && error.status == MPSYNC_OK))
			fail_msg("%s: allocation %ld: %d %s", text, nth, error.status, error.message);
		if (good)
			assert_string_equal(config.password, "first");
	}
	url_clear(&url);
}

static void test_without_memory(void **state)
{
	(void)state;
	write_secret("first");
	setenv("ETCDCTL_CACERT", "/theirs/ca", 1);
	without_memory(url_with_secret);
	setenv("ETCDCTL_USER", "root:first", 1);
	without_memory("etcd://a:1,b:2");
	unsetenv("ETCDCTL_USER");
	unsetenv("ETCDCTL_CACERT");
	etcd_config_clear(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_members),
	    cmocka_unit_test(test_passwords),
	    cmocka_unit_test(test_users_of_etcdctl),
	    cmocka_unit_test(test_files_of_etcdctl),
	    cmocka_unit_test(test_encrypted_key),
	    cmocka_unit_test(test_without_memory),
	};

	secret = memfd_create("secret", MFD_CLOEXEC);
	snprintf(url_with_secret, sizeof url_with_secret,
	    "etcd://a:1,b:2?user=root&password_file=/proc/self/fd/%d", secret);
	failing_install(false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
