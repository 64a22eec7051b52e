#include "flags.h"

#include <string.h>

const struct flag flag_table[FLAG_COUNT] = {
    {"wait", "DURATION", OWN_WAIT, FOR_RUNNING,
        "how long to wait for it, and for a store that is not\nup yet; 0 skips when it is busy "
        "(default: for ever)"},
    {"grace", "DURATION", OWN_GRACE, FOR_RUNNING,
        "between SIGTERM and SIGKILL, when the right is running\nout (a thirtieth of the ttl; a "
        "fifth of it at most)"},
    {"wait-all", NULL, OWN_WAIT_ALL, FOR_RUNNING,
        "hold on until all that COMMAND started has ended"},
    {"kill-all", NULL, OWN_KILL_ALL, FOR_RUNNING, "end all that COMMAND started before letting go"},
    {"once", NULL, OWN_ONCE, FOR_ELECT, "end after one term (default: stand again after a loss)"},
    {"value", "TEXT", OWN_VALUE, FOR_ELECT, "what observers see of the leader, as its address"},
    {"name-prefix", "TEXT", OWN_PREFIX, FOR_LS, "only names that start so"},
    {"watch", NULL, OWN_WATCH, FOR_LS, "go on, and tell each change"},
    {"force", NULL, OWN_FORCE, FOR_RELEASE, "I know that the holder may still run"},
    {"now", NULL, OWN_NOW, FOR_RELEASE,
        "the next holder need not wait for the old one's ttl; unsafe"},
    {"json", NULL, OWN_JSON, FOR_ALL, "lines of JSON, for programs"},
    {"quiet", NULL, OWN_QUIET, FOR_RUNNING, "say nothing of waiting"},
    {"verbose", NULL, OWN_VERBOSE, FOR_STORE,
        "say what is done, and where; the same as --log info"},
    {"help", NULL, FLAG_HELP, FOR_ALL, "this text"},
    {"version", NULL, FLAG_VERSION, FOR_ALL, "print the version"},

    {"url", "URL", OPTION_URL, FOR_STORE,
        "where locks live: file:PATH, kubernetes:NAMESPACE,\netcd://HOST:PORT, http+unix:///SOCKET "
        "or an elector's\nURL (http://localhost:13131)"},
    {"ttl", "DURATION", OPTION_TTL, FOR_STORE, "how long a silent holder keeps others out (15s)"},
    {"identity", "NAME", OPTION_IDENTITY, FOR_STORE,
        "who people see as the holder (POD_NAME, else host\nand process)"},
    {"request-timeout", "DURATION", OPTION_REQUEST_TIMEOUT, FOR_STORE,
        "when a further request is sent (a sixth of the ttl)"},
    {"fence", "auto|time", OPTION_FENCE, FOR_STORE, "time: a process's death is no proof (auto)"},
    {"mode", "OCTAL", OPTION_MODE, FOR_STORE, "file: who may use the file (0600)"},
    {"group", "NAME", OPTION_GROUP, FOR_STORE, "file: whose the file is (the caller's group)"},
    {"ca", "FILE", OPTION_CA, FOR_STORE, "TLS: who vouches for the server"},
    {"cert", "FILE", OPTION_CERT, FOR_STORE, "TLS: our certificate"},
    {"key", "FILE", OPTION_KEY, FOR_STORE, "TLS: its key"},
    {"namespace", "NAME", OPTION_NAMESPACE, FOR_STORE, "Kubernetes: where (the context's)"},
    {"kubeconfig", "FILE", OPTION_KUBECONFIG, FOR_STORE,
        "Kubernetes: as whom (the Pod's account, KUBECONFIG,\n~/.kube/config)"},
    {"context", "NAME", OPTION_CONTEXT, FOR_STORE,
        "Kubernetes: which one of the kubeconfig (its own)"},
    {"insecure", "no|yes", OPTION_INSECURE, FOR_STORE,
        "Kubernetes: obey a kubeconfig that skips TLS's check (no)"},
    {"label-leader", "no|yes", OPTION_LABEL_LEADER, FOR_STORE,
        "Kubernetes: label this Pod while it leads (no)"},
    {"leader-events", "no|yes", OPTION_LEADER_EVENTS, FOR_STORE,
        "Kubernetes: tell by Events who leads (no)"},
    {"lease-owner", "OBJECT", OPTION_LEASE_OWNER, FOR_STORE,
        "Kubernetes: whom election Leases go with, as apps/v1/deployments/web"},
    {"user", "NAME", OPTION_USER, FOR_STORE, "etcd: who asks"},
    {"password-file", "FILE", OPTION_PASSWORD_FILE, FOR_STORE,
        "etcd: its first line is the password"},
    {"prefix", "TEXT/", OPTION_PREFIX, FOR_STORE, "etcd: what all keys begin with"},
    {"log", "LEVEL", OPTION_LOG, FOR_STORE, "error, warn, info or debug (warn)"},
    {"log-format", "text|json", OPTION_LOG_FORMAT, FOR_STORE, "of the log's lines (text)"},
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
