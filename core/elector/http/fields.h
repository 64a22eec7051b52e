/* The fields that bodies of the new wire may have. Nothing here does I/O. */
#ifndef MPSYNC_FIELDS_H
#define MPSYNC_FIELDS_H

#include "elector/protocol/sessions.h"

/* Room for the sentence that says what is wrong. */
#define FIELDS_PROBLEM_SIZE 200

enum body { BODY_EMPTY, BODY_OBJECT, BODY_BAD };

/* *object is owned by the caller; NULL unless BODY_OBJECT is returned. */
enum body body_parse(
    const char *bytes, size_t size, cJSON **object, char problem[FIELDS_PROBLEM_SIZE]);

/* Reads the header Mpsync-Session; NULL means that there is no session. */
bool session_parse(const char *header, struct id *session);

/*
 * Fills in what the object of a PUT or DELETE says; its texts stay the object's. put->name is the
 * path's, or NULL to take it from the body.
 */
bool put_parse(struct put *put, const cJSON *object, const char *session, const struct store *store,
    char problem[FIELDS_PROBLEM_SIZE]);

/*
 * Takes the lock's name from a body of the old wire, if *name is NULL. Returns NULL, or what is
 * wrong.
 */
const char *legacy_parse(const char **name, const cJSON *object);

/* Reads whether a release by force waits for the holder's ttl. */
bool force_parse(bool *now, const cJSON *object, char problem[FIELDS_PROBLEM_SIZE]);

/* object NULL: the body was empty. */
bool heartbeat_parse(struct heartbeat *beat, const cJSON *object, const char *session,
    char problem[FIELDS_PROBLEM_SIZE]);

#endif
