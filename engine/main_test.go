package engine_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"go.podman.io/storage/pkg/unshare"

	"github.com/mpull/mpull/integration/testenv"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if unshare.IsRootless() && flag.Lookup("test.skip").Value.String() == "" {
		// The examples fill a store, which an ordinary user does in a user
		// namespace only; the test binary is not in one.
		fmt.Fprintln(os.Stderr, "skipping Example_pull: only root fills a store without a user namespace")
		if err := flag.Set("test.skip", "^Example_pull$"); err != nil {
			panic(err)
		}
	}
	testenv.Main(m)
}
