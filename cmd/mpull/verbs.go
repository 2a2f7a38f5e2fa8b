//go:build linux

package main

import (
	"slices"
	"strings"
)

// foreign explains a word that is a verb of podman, docker or skopeo and none of
// mpull: what mpull has instead, or which tool does it. Nothing is asked for,
// though such a word may be the name of an image.
func (l *line) foreign(word string) error {
	if len(l.names) > 0 || l.command != nil && l.command.Action != nil {
		return nil
	}
	group := strings.Join(l.path, " ")
	v := foreignVerb(group, word)
	if v == nil {
		return nil
	}
	var next []string
	if v.ours != "" {
		next = append(next, "did you mean \""+v.ours+"\"?")
	}
	if v.theirs != "" {
		next = append(next, "use "+strings.ReplaceAll(v.theirs, "VERB", word))
	}
	if group == "" {
		next = append(next, "(an image of that name: mpull pull "+word+")")
	}
	return instead(strings.Join(next, " "), "there is no command \"%s\"", strings.TrimSpace(group+" "+word))
}

// foreignFlag explains a flag that podman's command of that name has for what
// mpull's has not.
func (l *line) foreignFlag(arg, name string) error {
	arg, _, _ = strings.Cut(arg, "=")
	if name == "config" {
		return instead("--authfile FILE or the variable DOCKER_CONFIG names the logins, --root and --registries-conf the rest", "mpull has no flag %s", arg)
	}
	if l.command == nil {
		return nil
	}
	for _, f := range foreignFlags() {
		commands := strings.Fields(f.commands)
		if slices.Contains(commands, l.command.Name) && slices.Contains(strings.Fields(f.flags), name) {
			return instead(strings.ReplaceAll(f.next, "FLAG", arg), "mpull %s has no flag %s%s", commands[0], arg, f.why)
		}
	}
	return nil
}

// foreignFlags are the flags of other tools that commands of mpull have not: what
// to type instead, where FLAG is the flag as it was written, and why it is so.
func foreignFlags() []struct{ commands, flags, next, why string } {
	return []struct{ commands, flags, next, why string }{
		{"run", "v volume mount p publish P publish-all d detach name pod privileged device", "use podman run", ": it only tries whether an image starts"},
		{"pull", "all", "mpull pull --all-platforms NAME, or mpull outdated -q | xargs -r mpull pull for what is outdated", ""},
		{"pull", "all-tags", "mpull tags NAME lists them, and mpull pull takes several names", ": it brings the images that are named"},
		{"pull", "decryption-key", "use skopeo copy --decryption-key KEY docker://NAME containers-storage:NAME", ": it takes no encrypted images"},
		{"pull", "disable-content-trust", "leave it away: policy.json says which signatures are asked for", ""},
		{"images ls", "history", "mpull images --format '{{.Repository}}:{{.Tag}} {{.History}}'", ""},
		{"save", "compress uncompressed oci-accept-uncompressed-layers", "leave it away, or use podman save FLAG", ": it compresses layers as their registry had them"},
		{"inspect", "latest size", "use podman inspect FLAG", ": it knows images, not containers"},
		{"inspect", "registry-token shared-blob-dir daemon-host", "use skopeo", ""},
		{"tags", "registry-token", "use skopeo", ""},
		{"prune", "external build-cache", "use podman image prune FLAG", ": what builds left is podman's"},
		{"login", "secret", "mpull login --username NAME --password-stdin HOST < FILE", ": podman keeps its secrets to itself"},
	}
}

// verb is what becomes of a verb of another tool.
type verb struct {
	words  string // each of which is meant
	ours   string // mpull's own command
	theirs string // the tool that does it, with its words; VERB is the verb
}

// foreignVerb looks a verb up, nil for what is none; group is "", image or
// manifest, or what has none.
func foreignVerb(group, word string) *verb {
	for _, v := range foreignVerbs()[group] {
		if slices.Contains(strings.Fields(v.words), word) {
			return &v
		}
	}
	if group == "image" && slices.Contains([]string{"history", "search", "import", "build", "push", "mount", "unmount", "umount"}, word) {
		return foreignVerb("", word)
	}
	return nil
}

// foreignVerbs are the verbs by the group that they stand behind.
func foreignVerbs() map[string][]verb {
	return map[string][]verb{
		"": {
			{"rm", "rmi", "podman rm for containers"},
			{"remove", "rmi", ""},
			{"delete", "rmi", "skopeo delete for a registry's images"},
			{"copy", "pull", "mpull save IMAGE | mpull --root DIR load for another store, skopeo copy for a registry"},
			{"list-tags", "tags", ""},
			{"search", "tags", "podman search to find repositories"},
			{"imagetools", "platforms", ""},
			{"fsck", "doctor", ""},
			{"retag", "tag", ""},
			{"switch", "use", ""},
			{"undo", "restore", ""},
			{"update upgrade", "outdated -q | xargs -r mpull pull", "podman update for containers"},
			{"pin freeze", "lock", ""},
			{"log changes blame", "why", ""},
			{"size du usage", "df", ""},
			{"clean cleanup gc autoremove purge", "prune", ""},
			{"exists", "image exists", ""},
			{"mirror mirrors", "", "a [[registry.mirror]] in registries.conf: mpull info names that file"},
			{"auto-update", "outdated", "podman auto-update for containers of systemd units"},
			{"system", "df", "mpull prune, info and doctor for what else podman system does with images"},
			{"history", "", "mpull inspect --format '{{json .History}}' IMAGE for the steps of its build, mpull why IMAGE for its names"},
			{"import", "load", "podman import for a tar of plain files"},
			{"export", "save", "podman export for a container's files"},
			{"manifest-digest", "", "mpull inspect --format '{{.Digest}}' docker://IMAGE, or skopeo manifest-digest for a file"},
			{"ps exec start create stop restart kill wait pause unpause attach logs top stats port rename cp commit diff container", "", "podman VERB"},
			{"init pod play kube generate network volume secret events healthcheck build push mount unmount umount unshare", "", "podman VERB"},
			{"machine farm artifact quadlet compose checkpoint", "", "podman VERB"},
			{"builder buildx bake", "", "podman build, or docker buildx"},
			{"context plugin service stack swarm trust scout", "", "docker VERB"},
			{"sync layers standalone-sign standalone-verify generate-sigstore-key", "", "skopeo VERB"},
		},
		"image": {
			{"delete remove", "rmi", ""},
			{"tree", "images --tree", "podman image tree for an image's layers"},
			{"sign scp trust diff", "", "podman image VERB"},
		},
		"manifest": {
			{"add annotate create push remove", "", "podman manifest VERB"},
			{"rm", "rmi", ""},
			{"exists", "image exists", ""},
		},
	}
}
