#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Go's runtime reserves some 1300 MiB of address space as it starts, and tries less after that: on 64 bits. */
#define LEAST (1600ULL << 20)

static void say(const char *text)
{
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		return;
}

/*
 * A standard stream that is closed stays one that cannot be used: Go's runtime
 * would put /dev/null there, into which everything can be written, and what a
 * command prints would be lost without a word. (gnulib's stdopen does the same.)
 */
static void keep_closed(void)
{
	static const int modes[] = { O_WRONLY, O_RDONLY, O_RDONLY };

	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", modes[fd]) != fd)
			_exit(125);
}

/*
 * Go's runtime ends a program that crashed with 2, which here means that an
 * image is in use, or by SIGABRT where main asks for that (SetTraceback), and
 * hands a signal that it does not handle to the handler of before.
 */
static void crashed(int sig)
{
	(void)sig;
	say("Error: mpull failed by a fault of its own, or ran out of memory; what is above tells where: please report it\n");
	_exit(125);
}

/* With too little address space Go's runtime ends with 2 before main begins. */
static void check_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return;
	if (sizeof(void *) == 8 && limit.rlim_cur < LEAST) {
		say("Error: the limit on the address space is too low for mpull: ulimit -v 2000000 or more\n");
		_exit(125);
	}
#ifdef M_ARENA_MAX
	/* Else each thread of Go's runtime maps a heap of 128 MiB for the little that C allocates here. */
	mallopt(M_ARENA_MAX, 1);
#endif
}

__attribute__((constructor)) static void prelude(void)
{
	struct sigaction action = { .sa_handler = crashed, .sa_flags = SA_ONSTACK };

	keep_closed();
	check_limit();
	(void)sigaction(SIGABRT, &action, NULL);
}
