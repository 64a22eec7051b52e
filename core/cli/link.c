#include "link.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

bool link_new(struct link *link)
{
	*link = (struct link){.cgroup = {.directory = -1}};
	link->board =
	    mmap(NULL, sizeof *link->board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (link->board == MAP_FAILED)
		return false;
	return pipe2(link->signals, O_CLOEXEC | O_NONBLOCK) == 0 &&
	       pipe2(link->guard, O_CLOEXEC) == 0 &&
	       pipe2(link->bells[BELL_GUARD], O_CLOEXEC | O_NONBLOCK) == 0 &&
	       pipe2(link->bells[BELL_MPSYNC], O_CLOEXEC | O_NONBLOCK) == 0;
}

static void drop(int *descriptor)
{
	close(*descriptor);
	*descriptor = -1;
}

static void drop_bell(struct link *link, int bell)
{
	drop(&link->bells[bell][0]);
	drop(&link->bells[bell][1]);
}

void link_become_mpsync(struct link *link)
{
	drop(&link->signals[0]);
	drop(&link->guard[0]);
	drop(&link->guard[1]);
	drop_bell(link, BELL_GUARD);
	drop(&link->bells[BELL_MPSYNC][1]);
}

void link_become_guard(struct link *link)
{
	drop(&link->signals[0]);
	drop(&link->signals[1]);
	drop(&link->guard[0]);
	drop_bell(link, BELL_MPSYNC);
	drop(&link->bells[BELL_GUARD][1]);
}

void link_become_keeper(struct link *link)
{
	drop(&link->signals[1]);
	drop(&link->guard[1]);
	drop(&link->bells[BELL_GUARD][0]);
	drop(&link->bells[BELL_MPSYNC][0]);
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
	/* The pipe is full: its reader has not looked yet, and will. */
	for (int bell = 0; begins && kill_at_ms != 0 && bell < BELL_COUNT; bell++)
		if (write(link->bells[bell][1], "", 1) < 0)
			continue;
}

void link_wait(struct pollfd *pollers, size_t count, size_t drained)
{
	char buffer[512];

	if (poll(pollers, count, -1) < 0)
		return;
	for (size_t i = 0; i < drained; i++) {
		if (pollers[i].revents & POLLIN && read(pollers[i].fd, buffer, sizeof buffer) > 0)
			continue;
		if (pollers[i].revents & (POLLHUP | POLLERR | POLLNVAL))
			pollers[i].fd = -1;
	}
}
