/* Where an etcd is and who asks: from the URL, the options and etcdctl's environment. */
#ifndef MPSYNC_STORES_ETCD_CONFIG_H
#define MPSYNC_STORES_ETCD_CONFIG_H

#include "base/options.h"
#include "base/url.h"

#define ETCD_MOST_MEMBERS 16

struct etcd_config {
	struct mpsync_options options;
	char *members[ETCD_MOST_MEMBERS]; /* URLs for HTTP */
	size_t member_count;
	char *user; /* NULL: no login is needed */
	char *password;
};

/* `config` is all zero at first. False: `error` says why; etcd_config_clear is needed even then. */
bool etcd_config_read(struct etcd_config *config, const struct url *url,
    const struct mpsync_options *options, mpsync_error *error);
/*
 * Read the password from its file again. False: there is no such file, or the password is the same.
 */
bool etcd_config_read_password(struct etcd_config *config);
void etcd_config_clear(struct etcd_config *config);

#endif
