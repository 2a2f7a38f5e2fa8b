#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <unistd.h>

#include "early.h"
#include "memory.h"

#ifdef __GLIBC__

static const char version[] = "mpull " MPULL_VERSION " (commit " MPULL_COMMIT ")\n";

/* What mpull --help prints in 80 columns. */
static const char help[] =
#include "help.h"
;

static const char *text_for(const char *arg)
{
	if (strcmp(arg, "version") == 0)
		return version;
	/* On a terminal the help is as wide as that is. */
	if ((strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0 || strcmp(arg, "help") == 0) && !isatty(STDOUT_FILENO))
		return help;
	return NULL;
}

static void answer(const char *text)
{
	for (size_t left = strlen(text); left > 0;) {
		ssize_t n = write(STDOUT_FILENO, text, left);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return; /* what cannot be written is for main to report */
		text += n;
		left -= (size_t)n;
	}
	_exit(0);
}

/* glibc hands constructors main's arguments (elf/dl-init.c, csu/libc-start.c). */
__attribute__((constructor)) static void early(int argc, char **argv)
{
	const char *text = argc == 2 ? text_for(argv[1]) : NULL;
	if (text != NULL)
		answer(text);
	/* Else each thread of Go's runtime maps a heap of 128 MiB for the little that C allocates here. */
	mallopt(M_ARENA_MAX, 1);
	take_memory();
}

#endif
