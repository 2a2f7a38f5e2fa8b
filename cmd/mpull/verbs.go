//go:build linux

package main

import "strings"

// foreign explains a word that is a verb of podman, docker or skopeo and none of
// mpull: what mpull has instead, or which tool does it. Nothing is asked for,
// though such a word may be the name of an image.
func (l *line) foreign(word string) error {
	if len(l.names) > 0 || l.command != nil && l.command.Action != nil {
		return nil
	}
	group := strings.Join(l.path, " ")
	v := foreignVerb(group, word)
	if v.ours == "" && v.theirs == "" {
		return nil
	}
	var next []string
	if v.ours != "" {
		next = append(next, "did you mean \""+v.ours+"\"?")
	}
	if v.theirs != "" {
		next = append(next, "use "+v.theirs)
	}
	if group == "" {
		next = append(next, "(an image of that name: mpull pull "+word+")")
	}
	return instead(strings.Join(next, " "), "there is no command %s", quoted(strings.TrimSpace(group+" "+word)))
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
	switch l.command.Name + " --" + name {
	case "run --v", "run --volume", "run --mount", "run --p", "run --publish", "run --P", "run --publish-all", "run --d", "run --detach",
		"run --network", "run --net", "run --name", "run --pod", "run --privileged", "run --device":
		return instead("use podman run", "mpull run has no flag %s: it only tries whether an image starts", arg)
	case "pull --all":
		return instead("mpull pull --all-platforms NAME, or mpull outdated -q | xargs -r mpull pull for what is outdated", "mpull pull has no flag %s", arg)
	case "pull --all-tags":
		return instead("mpull tags NAME lists them, and mpull pull takes several names", "mpull pull has no flag %s: it brings the images that are named", arg)
	case "pull --decryption-key":
		return instead("use skopeo copy --decryption-key KEY docker://NAME containers-storage:NAME", "mpull pull has no flag %s: it takes no encrypted images", arg)
	case "pull --disable-content-trust":
		return instead("leave it away: policy.json says which signatures are asked for", "mpull pull has no flag %s", arg)
	case "images --history", "ls --history", "list --history":
		return instead("mpull images --format '{{.Repository}}:{{.Tag}} {{.History}}'", "mpull images has no flag %s", arg)
	case "save --compress", "save --uncompressed", "save --oci-accept-uncompressed-layers":
		return instead("leave it away, or use podman save "+arg, "mpull save has no flag %s: it compresses layers as their registry had them", arg)
	case "inspect --latest", "inspect --size":
		return instead("use podman inspect "+arg, "mpull inspect has no flag %s: it knows images, not containers", arg)
	case "prune --external", "prune --build-cache":
		return instead("use podman image prune "+arg, "mpull prune has no flag %s: what builds left is podman's", arg)
	case "inspect --registry-token", "inspect --shared-blob-dir", "inspect --daemon-host", "tags --registry-token":
		return instead("use skopeo", "mpull %s has no flag %s", l.command.Name, arg)
	case "login --secret":
		return instead("mpull login --username NAME --password-stdin HOST < FILE", "mpull login has no flag %s: podman keeps its secrets to itself", arg)
	}
	return nil
}

func quoted(s string) string { return `"` + s + `"` }

// verb is what becomes of a verb of another tool.
type verb struct {
	ours   string // mpull's own command
	theirs string // the tool that does it, with its words
}

// foreignVerb looks a verb up; group is "", image or manifest.
func foreignVerb(group, word string) verb {
	switch group {
	case "image":
		return imageVerb(word)
	case "manifest":
		return manifestVerb(word)
	case "":
	default:
		return verb{}
	}
	switch word {
	case "rm":
		return verb{ours: "rmi", theirs: "podman rm for containers"}
	case "remove":
		return verb{ours: "rmi"}
	case "delete":
		return verb{ours: "rmi", theirs: "skopeo delete for a registry's images"}
	case "copy":
		return verb{ours: "pull", theirs: "mpull save IMAGE | mpull --root DIR load for another store, skopeo copy for a registry"}
	case "list-tags":
		return verb{ours: "tags"}
	case "search":
		return verb{ours: "tags", theirs: "podman search to find repositories"}
	case "imagetools":
		return verb{ours: "platforms"}
	case "fsck":
		return verb{ours: "doctor"}
	case "retag":
		return verb{ours: "tag"}
	case "switch":
		return verb{ours: "use"}
	case "undo":
		return verb{ours: "restore"}
	case "update", "upgrade":
		return verb{ours: "outdated -q | xargs -r mpull pull", theirs: "podman update for containers"}
	case "pin", "freeze":
		return verb{ours: "lock"}
	case "log", "changes", "blame":
		return verb{ours: "why"}
	case "size", "du", "usage":
		return verb{ours: "df"}
	case "clean", "cleanup", "gc", "autoremove", "purge":
		return verb{ours: "prune"}
	case "exists":
		return verb{ours: "image exists"}
	case "mirror", "mirrors":
		return verb{theirs: "a [[registry.mirror]] in registries.conf: mpull info names that file"}
	case "auto-update":
		return verb{ours: "outdated", theirs: "podman auto-update for containers of systemd units"}
	case "system":
		return verb{ours: "df", theirs: "mpull prune, info and doctor for what else podman system does with images"}
	case "history":
		return verb{theirs: "mpull inspect --format '{{json .History}}' IMAGE for the steps of its build, mpull why IMAGE for its names"}
	case "import":
		return verb{ours: "load", theirs: "podman import for a tar of plain files"}
	case "export":
		return verb{ours: "save", theirs: "podman export for a container's files"}
	case "manifest-digest":
		return verb{theirs: "mpull inspect --format '{{.Digest}}' docker://IMAGE, or skopeo manifest-digest for a file"}
	case "ps", "exec", "start", "create", "stop", "restart", "kill", "wait", "pause", "unpause", "attach", "logs", "top", "stats",
		"port", "rename", "cp", "commit", "diff", "container", "init", "pod", "play", "kube", "generate", "network", "volume",
		"secret", "events", "healthcheck", "build", "push", "mount", "unmount", "umount", "unshare", "machine", "farm", "artifact",
		"quadlet", "compose", "checkpoint":
		return verb{theirs: "podman " + word}
	case "builder", "buildx", "bake":
		return verb{theirs: "podman build, or docker buildx"}
	case "context", "plugin", "service", "stack", "swarm", "trust", "scout":
		return verb{theirs: "docker " + word}
	case "sync", "layers", "standalone-sign", "standalone-verify", "generate-sigstore-key":
		return verb{theirs: "skopeo " + word}
	}
	return verb{}
}

// imageVerb is foreignVerb for what stands behind image.
func imageVerb(word string) verb {
	switch word {
	case "delete", "remove":
		return verb{ours: "rmi"}
	case "history":
		return foreignVerb("", word)
	case "tree":
		return verb{ours: "images --tree", theirs: "podman image tree for an image's layers"}
	case "search":
		return foreignVerb("", word)
	case "import", "build", "push", "mount", "unmount", "umount":
		return foreignVerb("", word)
	case "sign", "scp", "trust", "diff":
		return verb{theirs: "podman image " + word}
	}
	return verb{}
}

// manifestVerb is foreignVerb for what stands behind manifest.
func manifestVerb(word string) verb {
	switch word {
	case "add", "annotate", "create", "push", "remove":
		return verb{theirs: "podman manifest " + word}
	case "rm":
		return verb{ours: "rmi"}
	case "exists":
		return verb{ours: "image exists"}
	}
	return verb{}
}
