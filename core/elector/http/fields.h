/* What the bodies of the new wire may say. Nothing here does I/O. */
#ifndef MPSYNC_FIELDS_H
#define MPSYNC_FIELDS_H

#include "elector/protocol/sessions.h"

/* For the words that say what is wrong. */
#define FIELDS_PROBLEM_SIZE 200

enum body { BODY_EMPTY, BODY_OBJECT, BODY_BAD };

/* *object: the caller's to delete; NULL unless BODY_OBJECT. */
enum body body_parse(
    const char *bytes, size_t size, cJSON **object, char problem[FIELDS_PROBLEM_SIZE]);

/* The header Mpsync-Session; NULL is none. */
bool session_parse(const char *header, struct id *session);

/*
 * Fill in what the object says of a PUT or DELETE; the strings stay the object's. put->name is the
 * path's, or NULL to take it from the body.
 */
bool put_parse(struct put *put, const cJSON *object, const char *session, const struct store *store,
    char problem[FIELDS_PROBLEM_SIZE]);

/* The lock that a body of the old wire names, if *name is NULL. NULL: it is right. */
const char *legacy_parse(const char **name, const cJSON *object);

/* A release by force: without waiting for the ttl? */
bool force_parse(bool *now, const cJSON *object, char problem[FIELDS_PROBLEM_SIZE]);

/* object NULL: an empty body. */
bool heartbeat_parse(struct heartbeat *beat, const cJSON *object, const char *session,
    char problem[FIELDS_PROBLEM_SIZE]);

#endif
