/* What this program is; make build writes build.h. */
#if __has_include("build.h")
#include "build.h"
#else
#define MPULL_VERSION "0.1.0-dev"
#define MPULL_COMMIT "unknown"
#endif
