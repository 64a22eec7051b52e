#include "unit.h"

#include "base/identity.h"
#include "base/text.h"

#include <string.h>

static void test_utf8(void **state)
{
	static const char *const good[] = {"", "a", "é", "€", "𝄞", "\x7f"};
	static const char *const bad[] = {"\x80", "\xc3", "\xc0\x80", "\xed\xa0\x80",
	    "\xf4\x90\x80\x80", "\xe2\x82", "\xff", "a\xc3"};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(text_is_utf8(good[i], strlen(good[i])));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(text_is_utf8(bad[i], strlen(bad[i])));
}

static void test_names(void **state)
{
	char name[NAME_MOST + 2];

	(void)state;
	memset(name, 'a', sizeof name);
	name[NAME_MOST] = '\0';
	assert_null(name_problem(name));
	name[NAME_MOST] = 'a';
	name[NAME_MOST + 1] = '\0';
	assert_non_null(name_problem(name));
	assert_non_null(name_problem(""));
	assert_non_null(name_problem(NULL));
	assert_null(name_problem("../x/\n"));
	memset(name, 'h', sizeof name);
	name[HOLDER_MOST + 1] = '\0';
	assert_non_null(holder_problem(name));
	name[HOLDER_MOST] = '\0';
	assert_null(holder_problem(name));
	assert_non_null(holder_problem(""));
	assert_non_null(holder_problem(NULL));
	assert_non_null(holder_problem("a\xff"));
	assert_non_null(holder_problem("a\x01"));
	assert_non_null(holder_problem("a\x7f"));
	assert_non_null(holder_problem("a\xc2\x9b"));
	assert_null(holder_problem("a\xc2\xa0é"));
}

static void expect_escaped(const char *text, size_t size, const char *expected)
{
	char out[64];

	text_escape(out, size, text);
	assert_string_equal(out, expected);
}

/* Goal: nothing that a terminal obeys is left, and what people read is. */
static void test_escaping(void **state)
{
	(void)state;
	expect_escaped("aé€𝄞 z", 64, "aé€𝄞 z");
	expect_escaped("a\x1b[0m\x7f\t\n", 64, "a\\x1b[0m\\x7f\\x09\\x0a");
	expect_escaped("\xc2\x9b\xc2\xa0", 64, "\\xc2\\x9b\xc2\xa0");
	expect_escaped("\xff\xc3", 64, "\\xff\\xc3");
	/* Cut between characters, never within one or within an escape. */
	expect_escaped("abé", 4, "ab");
	expect_escaped("a\x01", 5, "a");
	expect_escaped("a", 1, "");
}

/* Goal: what others see of a claim is not the claim (rule 46). */
static void test_digest(void **state)
{
	struct id secret;
	struct id digest;
	struct id back;
	char hex[ID_HEX_SIZE];

	(void)state;
	assert_true(id_from_hex(&secret, "00000000000000000000000000000001"));
	assert_true(id_digest(&secret, &digest));
	assert_false(id_equal(&secret, &digest));
	id_to_hex(&digest, hex);
	assert_true(id_from_hex(&back, hex));
	assert_true(id_equal(&digest, &back));
	assert_false(id_from_hex(&back, "0000000000000000000000000000000A"));
	assert_false(id_from_hex(&back, "00"));
}

/* What is the same as the latest is not copied again, and lives as long as anybody has it. */
static void test_shared_text(void **state)
{
	char *latest = NULL;
	char *first = shared_text_of(&latest, "a");
	char *same = shared_text_of(&latest, "a");
	char *other = shared_text_of(&latest, "b");

	(void)state;
	assert_ptr_equal(first, same);
	assert_ptr_not_equal(first, other);
	assert_ptr_equal(latest, other);
	shared_text_free(first);
	assert_string_equal(same, "a");
	shared_text_free(same);
	shared_text_free(latest);
	assert_string_equal(other, "b");
	shared_text_free(other);
	shared_text_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_utf8),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_escaping),
	    cmocka_unit_test(test_digest),
	    cmocka_unit_test(test_shared_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
