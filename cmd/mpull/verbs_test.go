package main

import (
	"strings"
	"testing"
)

// TestForeignVerbs: each verb of podman, docker and skopeo is a command here, or
// is told from the name of an image.
func TestForeignVerbs(t *testing.T) {
	app := testApp()
	for _, words := range []string{
		// podman
		`attach auto-update build commit compose container cp create diff events exec export farm generate healthcheck history
		image images import info init inspect kill kube load login logout logs machine manifest mount network pause play pod port
		ps pull push quadlet rename restart rm rmi run save search secret start stats stop system tag top unmount unpause
		unshare untag update version volume wait artifact`,
		// docker
		`builder buildx checkpoint context plugin service stack swarm trust`,
		// skopeo
		`copy delete generate-sigstore-key inspect list-tags login logout manifest-digest standalone-sign standalone-verify sync`,
	} {
		for word := range strings.FieldsSeq(words) {
			if app.Command(word) != nil {
				continue
			}
			_, err := newLine(app).straighten([]string{"mpull", word, "x"})
			if !strings.Contains(told(err), `there is no command "`+word+`"`) {
				t.Errorf("mpull %s: %v", word, err)
			}
		}
	}
	for line, want := range map[string]string{
		"push app":        "use podman push",
		"pod ls":          "use podman pod",
		"ps":              "(an image of that name: mpull pull ps)",
		"image tree x":    `did you mean "images --tree"`,
		"image push x":    "use podman push",
		"manifest create": "use podman manifest create",
		"run -v /a:/b x":  "use podman run",
		"search alpine":   `did you mean "tags"`,
	} {
		if _, err := newLine(app).straighten(append([]string{"mpull"}, strings.Fields(line)...)); !strings.Contains(told(err), want) {
			t.Errorf("mpull %s: %v, want %s", line, err, want)
		}
	}
	for _, image := range []string{"alpine", "node", "registry"} {
		if _, err := newLine(app).straighten([]string{"mpull", image}); err != nil {
			t.Errorf("mpull %s: %v", image, err)
		}
	}
}
