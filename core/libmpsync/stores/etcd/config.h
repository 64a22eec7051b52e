/* Where an etcd is and who asks: what its URL, the options and etcdctl's environment say. */
#ifndef MPSYNC_STORES_ETCD_CONFIG_H
#define MPSYNC_STORES_ETCD_CONFIG_H

#include "base/options.h"
#include "base/url.h"

#define ETCD_MOST_MEMBERS 16

struct etcd_config {
	struct mpsync_options options;
	char *members[ETCD_MOST_MEMBERS]; /* URLs for HTTP */
	size_t member_count;
	char *user; /* NULL: nobody needs to log in */
	char *password;
};

/* From all zero. False: `error` says why; it is to be cleared all the same. */
bool etcd_config_read(struct etcd_config *config, const struct url *url,
    const struct mpsync_options *options, mpsync_error *error);
/* The password as it stands in its file now. False: it stands in none, or is the same. */
bool etcd_config_read_password(struct etcd_config *config);
void etcd_config_clear(struct etcd_config *config);

#endif
