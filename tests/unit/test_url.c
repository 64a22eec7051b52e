#include "unit.h"

#include "base/store_url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void expect(const char *text, enum url_scheme scheme, const char *target)
{
	struct url url;
	mpsync_error error;

	assert_true(url_parse(&url, text, &error));
	assert_int_equal(url.scheme, scheme);
	assert_string_equal(url.target, target);
	url_clear(&url);
}

static void test_places(void **state)
{
	(void)state;
	expect("memory:", URL_MEMORY, "");
	expect("memory:x", URL_MEMORY, "x");
	expect("file:locks.db", URL_FILE, "locks.db");
	expect("file:///var/l%20ocks.db", URL_FILE, "/var/l ocks.db");
	expect("file:", URL_FILE, "");
	expect("http://localhost:13131/", URL_HTTP, "http://localhost:13131");
	expect("http+unix:///run/m.sock", URL_HTTP_UNIX, "/run/m.sock");
	expect("kubernetes:prod", URL_KUBERNETES, "prod");
	expect("etcd://a:1,b:2", URL_ETCD, "a:1,b:2");
}

static void test_query_is_options(void **state)
{
	struct url url;

	(void)state;
	assert_true(url_parse(&url, "file:x?ttl=3s&identity=a%2Fb", NULL));
	assert_string_equal(options_text(&url.options, OPTION_TTL), "3s");
	assert_string_equal(options_text(&url.options, OPTION_IDENTITY), "a/b");
	assert_string_equal(url.text, "file:x");
	url_clear(&url);
}

/* Goal: no error shows a password that stands in a URL. */
static void test_passwords_are_refused_and_never_shown(void **state)
{
	static const char *const urls[] = {"etcd://me:secret@host:2379",
	    "etcds://secret@host:2379?ttl=3s", "http://me:secret@host", "https://me:s/secret@host",
	    "etcd://h:1,me:secret@host:2379", "etcd://me:secret%40host:2379",
	    "etcd://me:1?secret@host:2379", "other://me:secret@host"};

	(void)state;
	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
		struct url url;
		mpsync_error error;

		assert_false(url_parse(&url, urls[i], &error));
		assert_int_equal(error.status, MPSYNC_E_INVALID);
		assert_non_null(strstr(error.message, "password_file"));
		assert_null(strstr(error.message, "secret"));
	}
}

/* Goal: an at sign is no user where it can be none. */
static void test_at_signs_elsewhere(void **state)
{
	static const char *const urls[] = {"file:/tmp/a://b@c", "http+unix:///tmp/a@b",
	    "etcd://h:1?identity=me@host", "http://h?identity=me%40host", "memory:a@b"};

	(void)state;
	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
		struct url url;

		assert_true(url_parse(&url, urls[i], NULL));
		url_clear(&url);
	}
}

static void test_wrong_urls_say_why(void **state)
{
	static const struct {
		const char *text;
		const char *word;
	} bad[] = {{"redis://x", "no place for locks"}, {"", "no place for locks"},
	    {"file:x?tll=3s", "tll"}, {"file:x?url=memory:", "url"}, {"file:x?ttl=x", "duration"},
	    {"http://u:p@localhost", "user"}, {"http+unix://run/x", "three slashes"},
	    {"file://host/x", "file:///PATH"}, {"file://", "file:///PATH"}, {"file:~/x", "shell"},
	    {"http://[x", "valid URL"}, {"file:x?%ff=1", "UTF-8"}, {"http+unix:x", "no place"},
	    {"file:x?ttl", "duration"}, {"etcd://", "endpoint"}, {"file:%ff", "UTF-8"}};
	mpsync_error error;
	struct url url;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_false(url_parse(&url, bad[i].text, &error));
		assert_int_equal(error.status, MPSYNC_E_INVALID);
		assert_non_null(strstr(error.message, bad[i].word));
	}
}

static void expect_store(
    const char *text, const char *name, const char *value, const char *expected)
{
	struct mpsync_options options = {{0}};
	struct url url;
	char *made;

	assert_true(url_parse(&url, text, NULL));
	if (name)
		assert_int_equal(mpsync_options_set(&options, name, value, NULL), MPSYNC_OK);
	assert_true(options_inherit(&options, &url.options));
	made = store_url(url.text, &url, &options);
	assert_string_equal(made, expected);
	free(made);
	options_clear(&options);
	url_clear(&url);
}

/* Goal: in another folder, without the options of this call, it is the same store. */
static void test_url_of_the_store_says_all_that_makes_it_this_store(void **state)
{
	char folder[4096];
	char expected[4200];

	(void)state;
	assert_non_null(getcwd(folder, sizeof folder));
	expect_store("etcd://h:1?prefix=prod/", NULL, NULL, "etcd://h:1?prefix=prod/");
	expect_store("etcd://h:1?prefix=prod/", "prefix", "a&b/", "etcd://h:1?prefix=a%26b/");
	expect_store("kubernetes:", "namespace", "n", "kubernetes:?namespace=n");
	/* What concerns one claim alone stays behind, unless the URL itself says it. */
	expect_store("memory:x?ttl=5s", "identity", "me", "memory:x?ttl=5s");
	expect_store("memory:x?ttl=5s", "ttl", "7s", "memory:x?ttl=5s");
	expect_store("file:///a%20b", NULL, NULL, "file:///a%20b");
	snprintf(expected, sizeof expected, "https://h:1?ca=%s/ca.pem", folder);
	expect_store("https://h:1", "ca", "ca.pem", expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_places),
	    cmocka_unit_test(test_query_is_options),
	    cmocka_unit_test(test_url_of_the_store_says_all_that_makes_it_this_store),
	    cmocka_unit_test(test_passwords_are_refused_and_never_shown),
	    cmocka_unit_test(test_at_signs_elsewhere),
	    cmocka_unit_test(test_wrong_urls_say_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
