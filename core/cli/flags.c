#include "flags.h"

#include <string.h>

const struct flag flag_table[FLAG_COUNT] = {
    {"wait", "DURATION", OWN_WAIT, FOR_RUNNING,
        "how long to wait for the name, and for a store that is\nnot up yet; 0 skips when it is "
        "busy (for ever)"},
    {"grace", "DURATION", OWN_GRACE, FOR_RUNNING,
        "between SIGTERM and SIGKILL, when the right is running\nout (a thirtieth of the ttl; a "
        "fifth of it at most)"},
    {"wait-all", NULL, OWN_WAIT_ALL, FOR_RUNNING,
        "hold on until all that COMMAND started has ended"},
    {"kill-all", NULL, OWN_KILL_ALL, FOR_RUNNING, "end all that COMMAND started before letting go"},
    {"once", NULL, OWN_ONCE, FOR_ELECT, "end after one term (stand again after a loss)"},
    {"value", "TEXT", OWN_VALUE, FOR_ELECT,
        "what observers see of the leader, for example its address"},
    {"name-prefix", "TEXT", OWN_PREFIX, FOR_LS, "only names that start with it (every name)"},
    {"watch", NULL, OWN_WATCH, FOR_LS, "go on, and tell each change"},
    {"force", NULL, OWN_FORCE, FOR_RELEASE, "needed: confirms that the holder may still run"},
    {"now", NULL, OWN_NOW, FOR_RELEASE,
        "the next holder need not wait for the old one's ttl; unsafe"},
    {"json", NULL, OWN_JSON, FOR_ALL, "lines of JSON, for programs"},
    {"quiet", NULL, OWN_QUIET, FOR_RUNNING, "do not report waiting"},
    {"verbose", NULL, OWN_VERBOSE, FOR_STORE,
        "report what is done, and where; the same as --log info"},
    {"help", NULL, FLAG_HELP, FOR_ALL, "this text"},
    {"version", NULL, FLAG_VERSION, FOR_ALL, "print the version"},

    {"url", "URL", OPTION_URL, FOR_STORE,
        "where locks live: file:PATH, kubernetes:NAMESPACE,\netcd://HOST:PORT, http+unix:///SOCKET "
        "or an elector's\nURL (http://localhost:13131)"},
    {"ttl", "DURATION", OPTION_TTL, FOR_STORE, "how long a silent holder keeps others out (15s)"},
    {"identity", "NAME", OPTION_IDENTITY, FOR_STORE,
        "the holder's name for people (POD_NAME, else host and\nprocess)"},
    {"drain", "DURATION", OPTION_DRAIN, FOR_STORE,
        "for programs that use the library: how long the work\nof a term may take to end (no "
        "limit)"},
    {"request-timeout", "DURATION", OPTION_REQUEST_TIMEOUT, FOR_STORE,
        "without an answer for so long a further request is\nsent (a sixth of the ttl)"},
    {"fence", "auto|time", OPTION_FENCE, FOR_STORE,
        "time: after this process ends its locks stay held for\ntheir ttl (auto: free at once "
        "where the end is proven)"},
    {"mode", "OCTAL", OPTION_MODE, FOR_STORE, "file: the permissions of the file (0600)"},
    {"group", "NAME", OPTION_GROUP, FOR_STORE, "file: the group of the file (the caller's group)"},
    {"ca", "FILE", OPTION_CA, FOR_STORE, "TLS: the authorities for the server (the system's)"},
    {"cert", "FILE", OPTION_CERT, FOR_STORE, "TLS: the client's certificate"},
    {"key", "FILE", OPTION_KEY, FOR_STORE, "TLS: its key"},
    {"namespace", "NAME", OPTION_NAMESPACE, FOR_STORE,
        "Kubernetes: the namespace of the Leases (the context's)"},
    {"kubeconfig", "FILE", OPTION_KUBECONFIG, FOR_STORE,
        "Kubernetes: the cluster, and as whom (KUBECONFIG, the\nPod's account, ~/.kube/config)"},
    {"context", "NAME", OPTION_CONTEXT, FOR_STORE,
        "Kubernetes: a context of the kubeconfig (its current one)"},
    {"insecure", "no|yes", OPTION_INSECURE, FOR_STORE,
        "Kubernetes: obey a kubeconfig that skips the check of\nthe server's certificate (no)"},
    {"label-leader", "no|yes", OPTION_LABEL_LEADER, FOR_STORE,
        "Kubernetes: label this Pod while it leads (no)"},
    {"leader-events", "no|yes", OPTION_LEADER_EVENTS, FOR_STORE,
        "Kubernetes: write Events that tell who leads (no)"},
    {"lease-owner", "OBJECT", OPTION_LEASE_OWNER, FOR_STORE,
        "Kubernetes: the object that election Leases belong to,\nas apps/v1/deployments/web"},
    {"user", "NAME", OPTION_USER, FOR_STORE, "etcd: the user"},
    {"password-file", "FILE", OPTION_PASSWORD_FILE, FOR_STORE,
        "etcd: its first line is the password"},
    {"prefix", "TEXT/", OPTION_PREFIX, FOR_STORE, "etcd: what all keys begin with"},
    {"log", "LEVEL", OPTION_LOG, FOR_STORE, "what is reported: error, warn, info or debug (warn)"},
    {"log-format", "text|json", OPTION_LOG_FORMAT, FOR_STORE, "the form of the log's lines (text)"},
};

const struct flag *flag_of(int id)
{
	for (size_t i = 0; i < FLAG_COUNT; i++)
		if (flag_table[i].id == id)
			return &flag_table[i];
	return NULL;
}

bool flag_is_written(const char *word, unsigned commands)
{
	const size_t length = strcspn(word, "=");

	if (strncmp(word, "--", 2) != 0)
		return false;
	for (size_t i = 0; i < FLAG_COUNT; i++)
		if ((flag_table[i].commands & commands) && flag_table[i].id != FLAG_HELP &&
		    flag_table[i].id != FLAG_VERSION && strlen(flag_table[i].name) == length - 2 &&
		    strncmp(flag_table[i].name, word + 2, length - 2) == 0)
			return true;
	return false;
}
