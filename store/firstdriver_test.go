package store

import "testing"

func TestDriverOfPodman(t *testing.T) {
	for said, want := range map[string]string{
		"podman version 3.4.4\n": "vfs", "podman version 4.3.1\n": "vfs", "podman version 4.5.0-rc1\n": "vfs",
		"podman version 4.6.0\n": "", "podman version 5.4.2\n": "", "podman version 10.0.0\n": "", "": "", "podman 4.3": "", "podman version x.y": "",
	} {
		if got := driverOfPodman(said); got != want {
			t.Errorf("%q: %q, not %q", said, got, want)
		}
	}
}
