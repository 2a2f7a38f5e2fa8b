package ask

import (
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/unpack"
)

// TestKeeperOwners leaves to an image what it keeps of a layer when another
// image with the same layer is done.
func TestKeeperOwners(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Create(store.Options{Root: dir + "/root", RunRoot: dir + "/run", Driver: "vfs"})
	if err != nil {
		t.Skip("no store can be made here: ", err)
	}
	defer s.Close()
	w, err := s.Writer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	k := NewKeeper(&Asker{}, w)
	one, two := &Watchdog{}, &Watchdog{}
	l := unpack.Layer{Digest: digest.FromString("x"), Size: keepFrom}
	p := k.part(l, one)
	if p == nil || k.part(l, two) != nil {
		t.Fatal("not one image keeps it")
	}
	k.release(l.Digest, two)
	k.drop(l.Digest, two)
	if err := p.Append([]byte("abc")); err != nil || w.Kept(l.Digest) != 3 {
		t.Errorf("after another image is done: %v, %d bytes", err, w.Kept(l.Digest))
	}
	k.release(l.Digest, one)
	if p = k.part(l, two); p == nil || p.Size() != 3 {
		t.Errorf("the next one goes on with %v", p)
	}
	k.drop(l.Digest, two)
	if w.Kept(l.Digest) != 0 {
		t.Error("it is still there")
	}
}
