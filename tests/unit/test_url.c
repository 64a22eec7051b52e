#include "unit.h"

#include "url.h"

#include <string.h>

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

static void test_wrong_urls_say_why(void **state)
{
	static const struct {
		const char *text;
		const char *word;
	} bad[] = {{"redis://x", "no place for locks"}, {"", "no place for locks"},
	    {"file:x?tll=3s", "tll"}, {"file:x?url=memory:", "url"}, {"file:x?ttl=x", "duration"},
	    {"http://u:p@localhost", "user"}, {"http+unix://run/x", "three slashes"},
	    {"file://host/x", "file:///PATH"}, {"etcd://", "endpoint"}, {"file:%ff", "UTF-8"}};
	mpsync_error error;
	struct url url;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_false(url_parse(&url, bad[i].text, &error));
		assert_int_equal(error.status, MPSYNC_E_INVALID);
		assert_non_null(strstr(error.message, bad[i].word));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_places),
	    cmocka_unit_test(test_query_is_options),
	    cmocka_unit_test(test_wrong_urls_say_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
