#include "help.h"

#include "flags.h"

#include <string.h>

static const struct help {
	const char *name;
	const char *usage;
	const char *summary;
	const char *more; /* whole lines */
	const char *examples;
} helps[] = {
    {"lock", "lock [OPTION…] NAME [--] COMMAND…", "run COMMAND while holding the lock",
        "COMMAND begins when the lock is held and is stopped before another may hold it. It sees "
        "the fencing\ntoken as MPSYNC_TOKEN. -- is needed where COMMAND has an option that mpsync "
        "has as well.\n",
        "  mpsync lock nightly ./backup.sh\n"
        "  mpsync lock nightly --wait 0 -- ./backup.sh     skip it while another runs it\n"
        "  mpsync lock orders/42 --ttl 5s --url file:/var/lib/shop/locks.db -- ./charge\n"},
    {"elect", "elect [OPTION…] NAME [--] COMMAND…", "run COMMAND while leading",
        "Among all that stand for NAME one leads and runs COMMAND; another takes over when it "
        "dies. After a\nloss COMMAND is stopped, and mpsync stands again.\n",
        "  mpsync elect scheduler ./scheduler\n"
        "  mpsync elect scheduler --value http://10.0.0.7:8080 -- ./scheduler\n"},
    {"ls", "ls [OPTION…]", "list what is held, by whom, since when",
        "Aligned on a terminal. Elsewhere a blank stands between the columns, blanks within names "
        "are\n\\x20, and times are RFC 3339.\n",
        "  mpsync ls --name-prefix orders/\n"
        "  mpsync ls --json | jq -r .spec.owner\n"},
    {"watch", "watch [OPTION…] NAME", "tell each change of one name",
        "Goes on until it is interrupted.\n",
        "  mpsync watch scheduler\n"
        "  mpsync watch scheduler --json\n"},
    {"status", "status [OPTION…] NAME", "show who has one name",
        "Exits 0 when somebody has it, 1 when it is free.\n",
        "  mpsync status scheduler\n"
        "  mpsync status scheduler >/dev/null && echo \"somebody leads\"\n"},
    {"release", "release --force [OPTION…] NAME", "take a name from its holder",
        "The holder is told, and the next one waits until the former one's time is over.\n",
        "  mpsync release --force nightly\n"},
    {"doctor", "doctor [OPTION…]", "check the store, and what is missing",
        "Asks the store for a sign of life, then takes and releases a lock of its own.\n",
        "  mpsync doctor --url kubernetes:shop\n"},
    {"version", "version [OPTION…]", "print the version", "", "  mpsync version\n"},
    {"elector", "elector [OPTION…]", "serve locks to programs next to it", "", ""},
    {"help", "help [COMMAND]", "explain one command", "", ""},
};

#define HELP_COUNT (sizeof helps / sizeof *helps)

static const struct help *find(const char *command)
{
	for (size_t i = 0; i < HELP_COUNT; i++)
		if (strcmp(helps[i].name, command) == 0)
			return &helps[i];
	return NULL;
}

const char *help_usage(const char *command)
{
	return find(command)->usage;
}

void help_print_commands(FILE *out)
{
	fputs("usage: mpsync COMMAND [OPTION…]\n\n", out);
	for (size_t i = 0; i < HELP_COUNT; i++)
		fprintf(out, "  %-10s%s\n", helps[i].name, helps[i].summary);
	fputs("\nmpsync COMMAND --help explains one; man mpsync all.\n", out);
}

void help_print(const struct command_shape *shape)
{
	const struct help *help = find(shape->name);

	printf("usage: mpsync %s\n\n%c%s.\n%s\noptions:\n", help->usage, help->summary[0] - 'a' + 'A',
	    help->summary + 1, help->more);
	flags_print(flag_table, OWN_COUNT, shape->flags);
	if (shape->flags & FOR_STORE) {
		puts("\noptions of the store, also in URLs and as MPSYNC_URL, MPSYNC_TTL, …:");
		flags_print(flag_table + OWN_COUNT, FLAG_COUNT - OWN_COUNT, shape->flags);
	}
	printf("\nexamples:\n%s", help->examples);
}
