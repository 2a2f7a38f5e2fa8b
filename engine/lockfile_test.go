package engine

import (
	"bytes"
	"strings"
	"testing"
)

const lockedDigest = "sha256:6587d5f44ca3ad76d1130d1ba4536019814a7d31da66b5b3fa089071319bb636"

func lockText(name, digest, platform string) string {
	return `{"version":1,"images":{"` + name + `":{"digest":"` + digest + `","platforms":{"` + platform + `":"` + digest + `"}}}}`
}

func TestParseLock(t *testing.T) {
	const alpine = "docker.io/library/alpine:3.15"
	for name, c := range map[string]struct{ text, want string }{
		"good":             {lockText(alpine, lockedDigest, "linux/arm/v7"), ""},
		"empty":            {`{"version":1,"images":{}}`, ""},
		"version":          {`{"version":2,"images":{}}`, "version 2"},
		"unknown field":    {`{"version":1,"pictures":{}}`, "unknown field"},
		"two values":       {`{"version":1} {"version":1}`, "more follows"},
		"short name":       {lockText("alpine:3.15", lockedDigest, "linux/amd64"), "full name"},
		"no tag":           {lockText("docker.io/library/alpine", lockedDigest, "linux/amd64"), "full name"},
		"digest and tag":   {lockText(alpine+"@"+lockedDigest, lockedDigest, "linux/amd64"), "full name"},
		"bad digest":       {lockText(alpine, "sha256:00", "linux/amd64"), "digest"},
		"bad platform":     {lockText(alpine, lockedDigest, "linux/a b"), ""},
		"no platform":      {`{"version":1,"images":{"` + alpine + `":{"digest":"` + lockedDigest + `"}}}`, "0 platforms"},
		"not JSON":         {`images`, "invalid character"},
		"escape in a name": {lockText(`docker.io/library/\u001b[2J:1`, lockedDigest, "linux/amd64"), "invalid reference"},
	} {
		if name == "bad platform" {
			c.want = "architecture"
		}
		l, err := ParseLock([]byte(c.text))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %+v, %v; want an error with %q", name, l, err, c.want)
		}
	}
	if _, err := ParseLock(make([]byte, maxLock+1)); err == nil {
		t.Error("a lock that is too long was read")
	}
}

func FuzzParseLock(f *testing.F) {
	f.Add([]byte(lockText("docker.io/library/alpine:3.15", lockedDigest, "linux/arm/v7")))
	f.Add([]byte(`{"version":1,"images":{"x":{}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := ParseLock(data)
		if err != nil {
			return
		}
		first, err := l.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseLock(first)
		if err != nil {
			t.Fatalf("what was written is not read: %v\n%s", err, first)
		}
		if second, err := again.Bytes(); err != nil || !bytes.Equal(first, second) {
			t.Errorf("a lock is not stable: %v\n%s\n%s", err, first, second)
		}
	})
}
