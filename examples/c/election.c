/* One leads, and is replaced when it dies. */
#include <mpsync.h>
#include <stdio.h>

int main(void)
{
	mpsync_error error;
	mpsync_client *client = mpsync_client_open(NULL, NULL, NULL, &error);
	mpsync_election *election = mpsync_election_new(client, "example", NULL, &error);

	if (!election ||
	    mpsync_election_campaign(election, "http://me:8080", -1, &error) != MPSYNC_OK) {
		fprintf(stderr, "%s\n", error.message);
		return 1;
	}
	puts("leading");
	mpsync_election_resign(election, &error);
	puts("not leading");
	mpsync_election_free(election);
	mpsync_client_close(client);
	return 0;
}
