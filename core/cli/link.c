#include "link.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

bool link_new(struct link *link)
{
	*link = (struct link){
	    .cgroup = {.directory = -1}, .signals = {-1, -1}, .guard = {-1, -1}, .bell = {-1, -1}};
	link->board =
	    mmap(NULL, sizeof *link->board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (link->board == MAP_FAILED)
		return false;
	return pipe2(link->signals, O_CLOEXEC | O_NONBLOCK) == 0 &&
	       pipe2(link->guard, O_CLOEXEC) == 0 && pipe2(link->bell, O_CLOEXEC | O_NONBLOCK) == 0;
}

static void drop(int *descriptor)
{
	close(*descriptor);
	*descriptor = -1;
}

void link_become_mpsync(struct link *link)
{
	drop(&link->signals[0]);
	drop(&link->guard[0]);
	drop(&link->guard[1]);
	drop(&link->bell[0]);
	drop(&link->bell[1]);
}

void link_become_guard(struct link *link)
{
	drop(&link->signals[0]);
	drop(&link->signals[1]);
	drop(&link->guard[0]);
	drop(&link->bell[1]);
}

void link_become_keeper(struct link *link)
{
	drop(&link->signals[1]);
	drop(&link->guard[1]);
	drop(&link->bell[0]);
}

void link_close_standard(void)
{
	const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (nothing < 0)
		return;
	dup2(nothing, STDIN_FILENO);
	dup2(nothing, STDOUT_FILENO);
	close(nothing);
}

void link_publish(
    const struct link *link, uint64_t stop_at_ms, uint64_t kill_at_ms, uint64_t margin_ms)
{
	const bool begins = atomic_load(&link->board->kill_at_ms) == 0;

	atomic_store(&link->board->margin_ms, margin_ms);
	atomic_store(&link->board->stop_at_ms, stop_at_ms);
	atomic_store(&link->board->kill_at_ms, kill_at_ms);
	/* Full: the guard has not looked yet, and will. */
	if (begins && kill_at_ms != 0 && write(link->bell[1], "", 1) < 0)
		return;
}
