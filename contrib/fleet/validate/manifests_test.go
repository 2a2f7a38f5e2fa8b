package validate

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// decode reads a manifest strictly: a field that the API does not have is an
// error.
func decode(t *testing.T, file string, into any) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../kubernetes", file))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(data, into); err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestDaemonSet checks the rules of the API server that types do not express.
func TestDaemonSet(t *testing.T) {
	var ds appsv1.DaemonSet
	text := decode(t, "daemonset.yaml", &ds)
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
	checkPod(t, pod, text)
	if command := pod.InitContainers[0].Command; !slices.Contains(command, "--locked") || !slices.Contains(command, "--no-tag") {
		t.Errorf("the images come from a lock, and no tag moves: not by %v", command)
	}
}

// TestCronJob does the same for the prune at night.
func TestCronJob(t *testing.T) {
	var job batchv1.CronJob
	text := decode(t, "cronjob.yaml", &job)
	if job.APIVersion != "batch/v1" || job.Kind != "CronJob" || job.Name == "" || len(strings.Fields(job.Spec.Schedule)) != 5 {
		t.Errorf("it is %s %s %q at %q", job.APIVersion, job.Kind, job.Name, job.Spec.Schedule)
	}
	spec := job.Spec.JobTemplate.Spec
	if spec.CompletionMode == nil || *spec.CompletionMode != batchv1.IndexedCompletion || spec.Completions == nil || *spec.Completions != *spec.Parallelism {
		t.Error("it is not one pod for each node at the same time")
	}
	pod := spec.Template.Spec
	if pod.RestartPolicy != corev1.RestartPolicyNever {
		t.Errorf("a job restarts %s", pod.RestartPolicy)
	}
	if spread := pod.TopologySpreadConstraints; len(spread) != 1 || !matches(spread[0].LabelSelector.MatchLabels, spec.Template.Labels) {
		t.Errorf("its pods are spread by %v", spread)
	}
	checkPod(t, pod, text)
}

// checkPod checks what both have: volumes, privileges, and what is never done on
// a node.
func checkPod(t *testing.T, pod corev1.PodSpec, text string) {
	t.Helper()
	volumes := map[string]bool{}
	for _, v := range pod.Volumes {
		volumes[v.Name] = false
	}
	for _, c := range append(slices.Clone(pod.InitContainers), pod.Containers...) {
		checkContainer(t, c, volumes)
		checkPrivileges(t, c, text)
		if command := strings.Join(c.Command, " "); strings.Contains(command, "--all") && !strings.Contains(command, "until=") {
			t.Errorf("container %s prunes all without until", c.Name)
		}
	}
	for name, used := range volumes {
		if !used {
			t.Errorf("volume %s is mounted nowhere", name)
		}
	}
	if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken || pod.HostNetwork || pod.HostPID || pod.HostIPC {
		t.Error("it has a token, or a namespace of the node")
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
		if m.MountPropagation != nil && *m.MountPropagation == corev1.MountPropagationBidirectional {
			t.Errorf("container %s mounts %s on the node: it would have to be privileged", c.Name, m.Name)
		}
	}
	for name, limit := range c.Resources.Limits {
		if request, ok := c.Resources.Requests[name]; ok && request.Cmp(limit) > 0 {
			t.Errorf("container %s requests more %s than its limit", c.Name, name)
		}
	}
}

// checkPrivileges wants each capability said and explained.
func checkPrivileges(t *testing.T, c corev1.Container, text string) {
	t.Helper()
	s := c.SecurityContext
	if s == nil || s.Privileged == nil || *s.Privileged || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem ||
		s.Capabilities == nil || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
		t.Fatalf("container %s has more privileges than it names", c.Name)
	}
	for _, capability := range s.Capabilities.Add {
		if !strings.Contains(text, "- "+string(capability)+" # ") {
			t.Errorf("container %s does not say what %s is for", c.Name, capability)
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
