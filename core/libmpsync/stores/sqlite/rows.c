#include "rows.h"

#include <string.h>

#define COLUMNS                                                                                    \
	"type, holder, claim, token, ttl_ms, deadline_boot_ms, boot_id, timens, pid, pid_start,"       \
	" pidns, instance, since_ms, value, revoked, renewals, version, name"

static const char *const sql[STATEMENT_COUNT] = {
    [SELECT_ONE] = "SELECT " COLUMNS " FROM lock WHERE name = ?1",
    [SELECT_ALL] = "SELECT " COLUMNS ", (SELECT count(*) FROM waiter WHERE waiter.name = lock.name)"
                   " FROM lock WHERE name > ?1 AND substr(name, 1, length(?2)) = ?2"
                   " AND holder IS NOT NULL ORDER BY name LIMIT ?3",
    [NEXT_VERSION] = "UPDATE counter SET value = max(value + 1, ?1) RETURNING value",
    [INSERT] = "INSERT OR IGNORE INTO lock (" COLUMNS
               ") VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18)",
    [UPDATE] = "UPDATE lock SET type=?1, holder=?2, claim=?3, token=?4, ttl_ms=?5,"
               " deadline_boot_ms=?6, boot_id=?7, timens=?8, pid=?9, pid_start=?10, pidns=?11,"
               " instance=?12, since_ms=?13, value=?14, revoked=?15, renewals=?16, version=?17"
               " WHERE name=?18 AND version=?19",
    [RENEW] = "UPDATE lock SET deadline_boot_ms=?1, renewals=?2, version=?3"
              " WHERE name=?4 AND version=?5",
    [DELETE] = "DELETE FROM lock WHERE name = ?1 AND version = ?2",
    [ADD_WAITER] = "INSERT OR IGNORE INTO waiter (name, claim, holder, pid, pid_start, pidns,"
                   " since_ms) VALUES (?1,?2,?3,?4,?5,?6,?7)",
    [REMOVE_WAITER] = "DELETE FROM waiter WHERE claim = ?1",
    [SELECT_WAITERS] = "SELECT claim, pid, pidns FROM waiter WHERE name = ?1 ORDER BY seq LIMIT 8",
    [SELECT_WAITER] = "SELECT 1 FROM waiter WHERE claim = ?1",
};

int sqlite_prepare_all(sqlite3 *database, sqlite3_stmt *statements[STATEMENT_COUNT])
{
	int code = SQLITE_OK;

	for (int i = 0; i < STATEMENT_COUNT && code == SQLITE_OK; i++)
		code = sqlite3_prepare_v3(
		    database, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &statements[i], NULL);
	return code;
}

void sqlite_finalize_all(sqlite3_stmt *statements[STATEMENT_COUNT])
{
	for (int i = 0; i < STATEMENT_COUNT; i++) {
		sqlite3_finalize(statements[i]);
		statements[i] = NULL;
	}
}

static void bind_id(sqlite3_stmt *statement, int column, const struct id *id)
{
	char hex[ID_HEX_SIZE];

	if (id_is_none(id)) {
		sqlite3_bind_null(statement, column);
		return;
	}
	id_to_hex(id, hex);
	sqlite3_bind_text(statement, column, hex, -1, SQLITE_TRANSIENT);
}

void sqlite_bind_record(
    sqlite3_stmt *statement, const char *name, const struct record *record, uint64_t version)
{
	sqlite3_bind_text(statement, 1, record->election ? "election" : "lock", -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, 2, record->holder, -1, SQLITE_TRANSIENT);
	bind_id(statement, 3, &record->claim);
	sqlite3_bind_int64(statement, 4, (sqlite3_int64)record->token);
	sqlite3_bind_int64(statement, 5, (sqlite3_int64)record->ttl_ms);
	sqlite3_bind_int64(statement, 6, (sqlite3_int64)record->deadline_ms);
	bind_id(statement, 7, &record->host.boot);
	sqlite3_bind_int64(statement, 8, record->host.timens);
	sqlite3_bind_int64(statement, 9, record->host.pid);
	sqlite3_bind_int64(statement, 10, (sqlite3_int64)record->host.pid_start);
	sqlite3_bind_int64(statement, 11, record->host.pidns);
	bind_id(statement, 12, &record->instance);
	sqlite3_bind_int64(statement, 13, record->since_ms);
	sqlite3_bind_text(statement, 14, record->value, -1, SQLITE_TRANSIENT);
	sqlite3_bind_int(statement, 15, record->revoked);
	sqlite3_bind_int64(statement, 16, (sqlite3_int64)record->renewed_us);
	sqlite3_bind_int64(statement, 17, (sqlite3_int64)version);
	sqlite3_bind_text(statement, 18, name, -1, SQLITE_TRANSIENT);
}

static void column_id(sqlite3_stmt *statement, int column, struct id *id)
{
	if (!id_from_hex(id, (const char *)sqlite3_column_text(statement, column)))
		*id = (struct id){{0}};
}

/* Bounded, since another program may have written any number there. */
static uint64_t column_number(sqlite3_stmt *statement, int column, uint64_t most)
{
	const sqlite3_int64 number = sqlite3_column_int64(statement, column);

	if (number < 0)
		return 0;
	return (uint64_t)number < most ? (uint64_t)number : most;
}

struct record sqlite_column_record(sqlite3_stmt *statement)
{
	struct record record = {
	    .holder = (char *)sqlite3_column_text(statement, 1),
	    .token = (uint64_t)sqlite3_column_int64(statement, 3),
	    .ttl_ms = column_number(statement, 4, RECORD_LONGEST_MS),
	    .deadline_ms = column_number(statement, 5, RECORD_LONGEST_MS),
	    .host.timens = (uint32_t)sqlite3_column_int64(statement, 7),
	    .host.pid = sqlite3_column_int(statement, 8),
	    .host.pid_start = (uint64_t)sqlite3_column_int64(statement, 9),
	    .host.pidns = (uint32_t)sqlite3_column_int64(statement, 10),
	    .since_ms = sqlite3_column_int64(statement, 12),
	    .value = (char *)sqlite3_column_text(statement, 13),
	    .revoked = sqlite3_column_int(statement, 14),
	    .renewed_us = column_number(statement, 15, RECORD_LAST_RENEWAL_US),
	    .version = (uint64_t)sqlite3_column_int64(statement, 16),
	};
	const char *type = (const char *)sqlite3_column_text(statement, 0);

	record.election = type && strcmp(type, "election") == 0;
	column_id(statement, 2, &record.claim);
	column_id(statement, 6, &record.host.boot);
	column_id(statement, 11, &record.instance);
	return record;
}
