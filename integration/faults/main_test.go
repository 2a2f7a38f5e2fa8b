package faults

import (
	"os"
	"os/exec"
	osuser "os/user"
	"testing"

	"go.podman.io/storage/pkg/reexec"
	"go.podman.io/storage/pkg/unshare"

	"github.com/mpull/mpull/integration/testbed"
	"github.com/mpull/mpull/integration/testenv"
	"github.com/mpull/mpull/integration/testimage"
	"github.com/mpull/mpull/integration/testregistry"
	"github.com/mpull/mpull/store"
)

func TestMain(m *testing.M) {
	reexec.Register(measureName, measure)
	if reexec.Init() {
		return
	}
	if os.Geteuid() != 0 && namespaces() {
		unshare.MaybeReexecUsingUserNamespace(false) // starts this program again, in one
	}
	testenv.MainWithBinary(m)
}

// namespaces tells whether this user may have a user namespace with mounts and
// has subordinate IDs for it.
func namespaces() bool {
	account, err := osuser.Current()
	if err != nil {
		return false
	}
	if _, _, err := unshare.GetSubIDMappings(account.Username, account.Username); err != nil {
		return false
	}
	return exec.Command("unshare", "--user", "--map-root-user", "--mount", "true").Run() == nil
}

// figure is how often something is done: few with -short (make test), all
// without (make test-all), or soak with MPULL_SOAK=1.
func figure(t testing.TB, few, all, soak int) int {
	t.Helper()
	switch {
	case os.Getenv("MPULL_SOAK") != "":
		return soak
	case testenv.Short(t):
		return few
	}
	return all
}

func newBed(t testing.TB) *testbed.Bed {
	t.Helper()
	return testbed.New(t, testenv.Binary())
}

// eachDriver runs a test in stores where mpull unpacks, and where the library does.
func eachDriver(t *testing.T, test func(t *testing.T, driver string)) {
	t.Helper()
	for _, driver := range []string{"overlay", "vfs"} {
		t.Run(driver, func(t *testing.T) { test(t, driver) })
	}
}

func newRegistry(t testing.TB) *testregistry.Registry {
	t.Helper()
	r := testregistry.New()
	t.Cleanup(r.Close)
	return r
}

// push stores an image of a few layers and returns its ID.
func push(t testing.TB, r *testregistry.Registry, repoTag string, spec testimage.Spec) string {
	t.Helper()
	img, err := testimage.Image(spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.PushImage(repoTag, img); err != nil {
		t.Fatal(err)
	}
	id, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	return id.Hex
}

// sound fails the test when the store does not keep its promises.
func sound(t testing.TB, b *testbed.Bed, podman bool) *testbed.Verdict {
	t.Helper()
	v := b.Judge()
	if podman {
		b.PodmanAgrees(v)
	}
	for _, f := range v.Faults {
		t.Errorf("broken promise: %s", f)
	}
	return v
}

func openStore(b *testbed.Bed) (*store.Store, error) { return store.Open(b.Options()) }
