package integration

import (
	"encoding/json"
	"errors"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// known are the keys of podman's JSON whose values are not podman's, each with
// the reason. docs/coming-from.md has the same list.
func known() map[string]string {
	return map[string]string{
		"RepoTags": "podman leaves it null in images --format json, and fills it in templates; here it is filled in both",
	}
}

// otherCode are the commands that end with another exit code than podman's, each
// with the reason.
func otherCode() map[string]string {
	return map[string]string{"image inspect": "1 says that the image is not here, as in all commands; podman's 125 does not"}
}

// TestPodmanOnOneStore asks podman and mpull the same about one store: rows,
// fields, JSON and exit codes are podman's.
func TestPodmanOnOneStore(t *testing.T) {
	m, registry := newMachine(t, "overlay")
	for _, args := range [][]string{
		{"-q", "alpine:3.15"}, {"-q", "--keep", "--platform", "linux/arm/v7", "alpine:3.15"}, {"-q", registry.Host + "/team/many:1"},
		{"tag", "alpine:3.15", "localhost/b:2"}, {"tag", "alpine:3.15", "localhost/b:1"},
	} {
		m.run("mine", append([]string{"mpull"}, args...)...)
	}
	for _, args := range [][]string{
		{"images", "--format", "{{.ID}} {{.Id}} {{.Repository}} {{.Tag}} {{.Digest}} {{.CreatedAt}} {{.CreatedTime}} {{.Size}} {{.VirtualSize}} {{.SharedSize}}"},
		{"images", "--format", "{{.History}} {{.Labels}} {{.Containers}} {{.ReadOnly}} {{.Names}} {{.RepoTags}} {{.ParentId}} {{.Dangling}}"},
		{"images", "--no-trunc", "--format", "{{.ID}} {{.Digest}}"},
		{"images", "--format", "table {{.ID}} {{.Repository}}"},
		{"images", "--sort", "repository", "--format", "{{.Repository}}:{{.Tag}}"},
		{"images", "-q"}, {"images", "-q", "--no-trunc"},
		{"image", "inspect", "--format", "{{.Id}} {{.Digest}} {{.Parent}} {{.Os}} {{.Size}} {{.RepoTags}}", "alpine:3.15"},
	} {
		mine, theirs := m.run("mine", append([]string{"mpull"}, args...)...), m.run("mine", append([]string{"podman"}, args...)...)
		if !slices.Equal(sortedLines(mine), sortedLines(theirs)) {
			t.Errorf("%s:\nmpull:\n%spodman:\n%s", strings.Join(args, " "), mine, theirs)
		}
	}
	m.sameJSON()
	for _, args := range [][]string{
		{"image", "exists", "alpine:3.15"}, {"image", "exists", "localhost/nope"}, {"rmi", "localhost/nope"}, {"rmi", "-f", "localhost/nope"},
		{"rmi", "--ignore", "localhost/nope"}, {"images", "--format", "{{.Nope}}"}, {"rmi", "--all", "alpine:3.15"},
		{"image", "inspect", "localhost/nope"}, {"nosuchverb", "--x"},
	} {
		mine, theirs := m.code("mpull", args), m.code("podman", args)
		if mine != theirs && otherCode()[args[0]+" "+args[1]] == "" {
			t.Errorf("%s: mpull ends with %d, podman with %d", strings.Join(args, " "), mine, theirs)
		}
	}
	m.run("mine", "mpull", "rmi", "--all")
	if left := m.run("mine", "podman", "images", "-aq"); left != "" {
		t.Errorf("after rmi --all podman has %s", left)
	}
}

// sameJSON holds each key of podman's images --format json against mpull's.
func (m *machine) sameJSON() {
	m.t.Helper()
	var mine, theirs []map[string]any
	for tool, into := range map[string]*[]map[string]any{"mpull": &mine, "podman": &theirs} {
		if err := json.Unmarshal([]byte(m.run("mine", tool, "images", "--format", "json")), into); err != nil {
			m.t.Fatal(err)
		}
	}
	if len(mine) == 0 {
		m.t.Fatal("mpull lists no image")
	}
	byID := map[any]map[string]any{}
	for _, one := range mine {
		if byID[one["Id"]] != nil {
			m.t.Errorf("%v is there twice", one["Id"])
		}
		byID[one["Id"]] = one
	}
	for _, one := range theirs {
		for key, value := range one {
			got, ok := byID[one["Id"]][key]
			if !ok || known()[key] == "" && !sameValue(got, value) {
				m.t.Errorf("%.12v: %s is %v, podman has %v", one["Id"], key, got, value)
			}
		}
	}
}

// sameValue compares values of JSON; the order of digests has no meaning.
func sameValue(a, b any) bool {
	as, ok := a.([]any)
	bs, both := b.([]any)
	if !ok || !both {
		return reflect.DeepEqual(a, b)
	}
	count := map[any]int{}
	for _, v := range as {
		count[v]++
	}
	for _, v := range bs {
		count[v]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

func (m *machine) code(tool string, args []string) int {
	m.t.Helper()
	err := m.command("mine", append([]string{tool}, args...)...).Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.t.Fatal(err)
	}
	if exit == nil {
		return 0
	}
	return exit.ExitCode()
}
