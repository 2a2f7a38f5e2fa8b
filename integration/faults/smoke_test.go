package faults

import (
	"strings"
	"testing"

	"github.com/mpull/mpull/integration/testimage"
)

func TestPullIsSound(t *testing.T) {
	b, reg := newBed(t), newRegistry(t)
	id := push(t, reg, "app:1", testimage.Spec{Layers: 6, Files: 60})
	r := b.Must("pull", "--tls-verify=false", reg.Host+"/app:1")
	t.Log(r)
	if strings.TrimSpace(r.Stdout) != id {
		t.Fatalf("pulled %s", r)
	}
	v := sound(t, b, false)
	if v.Names[reg.Host+"/app:1"] != id || v.Unreferenced != 0 || v.Half != 0 {
		t.Fatalf("%+v", v)
	}
	if err := b.PruneAll(t.Context()); err != nil {
		t.Fatal(err)
	}
}
