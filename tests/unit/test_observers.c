/*
 * Goal: observers of a store that can only be queried are told each difference once, whatever
 * happens between two answers: changes, silence, refusals, an answer that breaks off, no memory.
 */
#include "unit.h"

#include "failing.h"
#include "stores/records/observers.h"

#include <stdio.h>
#include <string.h>

/* What the store answers, step by step, and what is told. */
static struct store_query *asked;
static int queries;
static int cancelled;
static int retries;
static char told[200];

static void query(void *context, struct store_query *of)
{
	(void)context;
	assert_null(asked);
	asked = of;
	queries++;
}

static void query_cancel(void *context, struct store_query *of)
{
	(void)context;
	assert_ptr_equal(of, asked);
	asked = NULL;
	cancelled++;
}

static void retry_later(void *context)
{
	(void)context;
	retries++;
}

static void tell(const char *what, const char *of)
{
	const size_t length = strlen(told);

	snprintf(told + length, sizeof told - length, "%s%s%s;", what, of ? " " : "", of ? of : "");
}

static void on_changed(struct store_observer *observer, const struct store_lock *lock)
{
	(void)observer;
	tell(lock->name, lock->holder);
}

static void on_gone(struct store_observer *observer, const char *name)
{
	(void)observer;
	tell("gone", name);
}

static void on_synced(struct store_observer *observer)
{
	(void)observer;
	tell("synced", NULL);
}

static void on_failed(
    struct store_observer *observer, enum mpsync_status status, const char *message)
{
	(void)observer, (void)status;
	tell("failed", message);
}

static struct store_observer observer_of(const char *name)
{
	return (struct store_observer){.name = name,
	    .changed = on_changed,
	    .gone = on_gone,
	    .synced = on_synced,
	    .failed = on_failed};
}

static struct observers new_observers(void)
{
	asked = NULL;
	queries = cancelled = retries = 0;
	told[0] = '\0';
	return (struct observers){
	    .query = query, .query_cancel = query_cancel, .retry_later = retry_later};
}

static void found(const char *name, const char *holder, uint64_t version)
{
	asked->found(asked, &(struct store_lock){.name = name, .holder = holder, .version = version});
}

static void done(enum mpsync_status status)
{
	struct store_query *of = asked;

	asked = NULL;
	of->done(of, status, status == MPSYNC_OK ? NULL : "why");
}

static void is_told(const char *text)
{
	assert_string_equal(told, text);
	told[0] = '\0';
}

static void test_differences_are_told(void **state)
{
	struct observers observers = new_observers();
	struct store_observer all = observer_of(NULL);

	(void)state;
	observers_add(&observers, &all);
	assert_int_equal(asked->kind, STORE_LIST);
	found("a", "me", 1);
	found("b", "you", 2);
	found("c", NULL, 3); /* a record of nobody */
	done(MPSYNC_OK);
	is_told("a me;b you;synced;");
	observers_changed(&observers, "a");
	found("a", "me", 1);
	found("b", "her", 4);
	done(MPSYNC_OK);
	is_told("b her;");
	observers_changed(&observers, NULL);
	done(MPSYNC_OK);
	is_told("gone a;gone b;");
	assert_null(asked);
	observers_clear(&observers);
}

/* What changes while a query is under way is asked for behind it, once. */
static void test_changes_meanwhile(void **state)
{
	struct observers observers = new_observers();
	struct store_observer one = observer_of("a");

	(void)state;
	observers_add(&observers, &one);
	assert_int_equal(asked->kind, STORE_GET);
	observers_changed(&observers, "b");
	observers_changed(&observers, "a");
	observers_changed(&observers, "a");
	done(MPSYNC_E_NOT_HELD);
	is_told("synced;");
	assert_int_equal(queries, 2);
	found("a", "me", 1);
	done(MPSYNC_OK);
	is_told("a me;");
	assert_int_equal(queries, 2);
	observers_clear(&observers);
}

/* An answer that breaks off says nothing of what it has not got to, nor of what comes later. */
static void test_an_answer_that_breaks_off(void **state)
{
	struct observers observers = new_observers();
	struct store_observer all = observer_of(NULL);

	(void)state;
	observers_add(&observers, &all);
	found("a", "me", 1);
	found("b", "you", 2);
	done(MPSYNC_OK);
	is_told("a me;b you;synced;");
	observers_changed(&observers, NULL);
	found("a", "me", 1);
	done(MPSYNC_E_UNREACHABLE);
	is_told("failed why;");
	assert_int_equal(retries, 1);
	observers_retry(&observers);
	found("b", "you", 2);
	done(MPSYNC_OK);
	is_told("gone a;");
	observers_retry(&observers);
	assert_null(asked);
	observers_clear(&observers);
}

/* Told once that changes of its name cannot be noticed, and asked for again. */
static void test_refusals(void **state)
{
	struct observers observers = new_observers();
	struct store_observer all = observer_of(NULL);
	struct store_observer one = observer_of("a");
	struct store_observer other = observer_of("b");

	(void)state;
	observers_add(&observers, &all);
	done(MPSYNC_OK);
	observers_add(&observers, &one);
	done(MPSYNC_OK);
	observers_add(&observers, &other);
	done(MPSYNC_OK);
	is_told("synced;synced;synced;");
	for (int i = 0; i < 2; i++)
		observers_failed(&observers, "a", MPSYNC_E_FORBIDDEN, "not a");
	is_told("failed not a;");
	assert_int_equal(retries, 2);
	observers_failed(&observers, NULL, MPSYNC_E_FORBIDDEN, "not all");
	is_told("failed not all;");
	assert_int_equal(retries, 2);
	observers_retry(&observers);
	assert_string_equal(asked->name, "a");
	observers_remove(&observers, &one);
	assert_int_equal(cancelled, 1);
	observers_remove(&observers, &one);
	assert_int_equal(cancelled, 1);
	observers_clear(&observers);
}

static void test_without_memory(void **state)
{
	struct observers observers = new_observers();
	struct store_observer all = observer_of(NULL);

	(void)state;
	failing_from(1, 1);
	observers_add(&observers, &all);
	failing_end();
	is_told("failed out of memory;");
	observers_remove(&observers, &all);
	observers_add(&observers, &all);
	for (long nth = 1; nth <= 2; nth++) {
		failing_from(nth, 1);
		found("a", "me", 1);
		assert_true(failing_end());
	}
	done(MPSYNC_OK);
	is_told("synced;");
	observers_changed(&observers, "a");
	found("a", "me", 1);
	done(MPSYNC_OK);
	is_told("a me;");
	observers_clear(&observers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_differences_are_told),
	    cmocka_unit_test(test_changes_meanwhile),
	    cmocka_unit_test(test_an_answer_that_breaks_off),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_without_memory),
	};

	failing_install(false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
