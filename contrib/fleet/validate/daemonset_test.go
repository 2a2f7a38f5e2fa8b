package validate

import (
	"os"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// TestDaemonSet decodes the manifest strictly, so that a field which the API does
// not have is an error, and checks the rules of the API server that types do not
// express.
func TestDaemonSet(t *testing.T) {
	data, err := os.ReadFile("../kubernetes/daemonset.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var ds appsv1.DaemonSet
	if err := yaml.UnmarshalStrict(data, &ds); err != nil {
		t.Fatal(err)
	}
	if ds.APIVersion != "apps/v1" || ds.Kind != "DaemonSet" || ds.Name == "" {
		t.Errorf("it is %s %s %q", ds.APIVersion, ds.Kind, ds.Name)
	}
	selector, err := metav1.LabelSelectorAsSelector(ds.Spec.Selector)
	if err != nil || selector.Empty() {
		t.Fatalf("selector %v, %v", selector, err)
	}
	if labels := ds.Spec.Template.Labels; !matches(ds.Spec.Selector.MatchLabels, labels) {
		t.Errorf("the selector does not select the labels %v of its own pods", labels)
	}
	pod := ds.Spec.Template.Spec
	volumes := map[string]bool{}
	for _, v := range pod.Volumes {
		volumes[v.Name] = false
	}
	for _, c := range append(slices.Clone(pod.InitContainers), pod.Containers...) {
		checkContainer(t, c, volumes)
	}
	for name, used := range volumes {
		if !used {
			t.Errorf("volume %s is mounted nowhere", name)
		}
	}
	if command := pod.InitContainers[0].Command; !slices.Contains(command, "--locked") {
		t.Errorf("the images come from a lock, not from %v", command)
	}
}

func checkContainer(t *testing.T, c corev1.Container, volumes map[string]bool) {
	t.Helper()
	if c.Name == "" || c.Image == "" || len(c.Command) == 0 {
		t.Errorf("container %q has no image or command", c.Name)
	}
	for _, m := range c.VolumeMounts {
		if _, ok := volumes[m.Name]; !ok || !strings.HasPrefix(m.MountPath, "/") {
			t.Errorf("container %s mounts %q at %q", c.Name, m.Name, m.MountPath)
		}
		volumes[m.Name] = true
		// The API server refuses this propagation without the privilege.
		if m.MountPropagation != nil && *m.MountPropagation == corev1.MountPropagationBidirectional &&
			(c.SecurityContext == nil || c.SecurityContext.Privileged == nil || !*c.SecurityContext.Privileged) {
			t.Errorf("container %s may not mount %s bidirectionally", c.Name, m.Name)
		}
	}
	for name, limit := range c.Resources.Limits {
		if request, ok := c.Resources.Requests[name]; ok && request.Cmp(limit) > 0 {
			t.Errorf("container %s requests more %s than its limit", c.Name, name)
		}
	}
}

func matches(selector, labels map[string]string) bool {
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return len(selector) > 0
}
