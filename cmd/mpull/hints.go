//go:build linux

package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/mpull/mpull/engine"
	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// hint says what to do next about an error, "" when there is nothing to add.
func hint(err error) string {
	var unknown *query.UnknownError
	var notFound *platform.NotFoundError
	var usage *usageError
	var refused *engine.RefusedError
	var led *registry.RefusedError
	var notLocked *engine.NotLockedError
	var isList *engine.ManifestListError
	var artifact *registry.NotImageError
	var unproven *engine.UnprovenError
	var absentPlatforms *engine.AbsentPlatformsError
	var noList *json.UnmarshalTypeError
	var contradiction *store.ContradictionError
	var notHere *query.NotHereError
	var notMeant *engine.NotMeantError
	var advised *registry.AdvisedError
	var policy *registry.NoPolicyError
	var named *registry.NameError
	var asked *registry.AskError
	var interrupted *engine.InterruptedError
	var elsewhere *store.ElsewhereError
	switch {
	case errors.As(err, new(*query.AmbiguousError)):
		return "name one by its ID, which comes first"
	case errors.As(err, &interrupted):
		return size(interrupted.Kept) + " kept; run it again to go on"
	case errors.As(err, new(*signalError)):
		return "" // whatever else went wrong came of that
	case errors.As(err, &notLocked):
		return "mpull lock FILE IMAGE locks more names and platforms"
	case errors.As(err, &refused):
		return refusalHint(refused)
	case errors.As(err, &usage):
		return cmp.Or(usage.next, "see mpull --help")
	case errors.As(err, &isList):
		if isList.Here != "" {
			return fmt.Sprintf("name one of its images by its ID, such as %.12s", isList.Here)
		}
		return "pull one of its images by its digest: mpull pull REPOSITORY@DIGEST"
	case errors.As(err, &artifact):
		if registry.IsWasm(artifact.Type) {
			return "mpull pulls images, whose layers are tar archives; a WebAssembly module as an artifact is for wkg, oras or a container runtime that knows it"
		}
		return "mpull platforms lists what there is; artifacts are pulled with oras or with the tool that they are for"
	case errors.As(err, &unproven):
		if len(unproven.Actual) > 0 {
			return "it is taken for " + unproven.Actual[0] + ", or without a platform: mpull pull --platform " + unproven.Actual[0] + " ..."
		}
		return "without a platform it is pulled as it is; mpull check then tells whether it starts"
	case errors.As(err, &absentPlatforms):
		return "--skip-missing makes that a warning"
	case errors.As(err, &unknown):
		if len(unknown.Held) > 0 {
			img := unknown.Held[0]
			if img.IsList {
				return fmt.Sprintf("a manifest list once had that name: mpull restore %.12s gives it back", img.ID)
			}
			return fmt.Sprintf("an image of %s once had that name: mpull restore %.12s gives it back", orNone(img.Platform()), img.ID)
		}
		return "mpull images --all lists what is here"
	case errors.As(err, &notMeant):
		if flag := notMeant.Here[0].Flag(); flag != "" {
			return fmt.Sprintf("mpull rmi %s %s removes that one", flag, notMeant.Name)
		}
		return "mpull rmi with its ID removes that one"
	case errors.As(err, &notHere):
		return "mpull pull --platform brings one: mpull platforms lists what there is to pull"
	case errors.As(err, &notFound):
		return notFound.Hint
	case errors.As(err, &contradiction):
		return "mpull doctor says what it is; nothing was removed"
	case errors.As(err, &noList) && strings.HasPrefix(noList.Field, "config."):
		return "the image's config is none that an engine takes: build it again, with " + strings.TrimPrefix(noList.Field, "config.") + ` as a list where it is a command, such as ["/app", "--flag"]`
	case errors.As(err, &elsewhere):
		if elsewhere.Shared {
			return "each machine that reads it has containers of its own: put another store in its place, or remove images by name with mpull rmi"
		}
		return fmt.Sprintf("mpull --root %s --runroot %s --imagestore %s sees both", elsewhere.Root, elsewhere.RunRoot, elsewhere.Images)
	case errors.As(err, new(*engine.GuardedError)):
		return "pull it without moving the name: mpull pull --no-tag ..., and use the image by its digest; or leave out --guard-tags"
	case errors.As(err, new(*engine.PinnedError)):
		return "take it out of pinned_images or pause_image there, or use mpull rmi --force"
	case errors.Is(err, store.ErrMayNotMount), errors.Is(err, store.ErrMayNotChroot):
		return "start mpull with that capability, or as an ordinary user, who has user namespaces"
	case errors.Is(err, store.ErrNotWhole):
		return "mpull doctor --repair makes them"
	case errors.Is(err, store.ErrReadOnly), errors.As(err, new(*store.ClosedError)):
		return "name another store with --root and --runroot"
	case errors.As(err, &led):
		return led.Next
	case errors.As(err, &advised):
		return advised.Next
	case errors.As(err, &policy):
		return policyHint(policy)
	case errors.As(err, &named):
		return named.Next()
	case errors.As(err, &asked):
		return askedHint(asked)
	case errors.As(err, new(*lostError)):
		return ""
	case errors.As(err, new(*crashError)):
		return "please report it, with what --log-level debug shows"
	case errors.Is(err, unix.ENOSPC):
		return fullHint(err)
	}
	return ""
}

// refusalHint is the way out of a refusal.
func refusalHint(r *engine.RefusedError) string {
	way := r.Result.Hint
	if r.Use != "" {
		way = "an image here would start: " + r.Use
	}
	return strings.TrimPrefix(way+"; mpull run --force starts it all the same", "; ")
}

// fullHint names the disk that is full, where the error does.
func fullHint(err error) string {
	if space, ok := errors.AsType[*store.SpaceError](err); ok && space.What == store.SpaceOfArchive {
		return "write it to another disk"
	}
	if path, ok := errors.AsType[*os.PathError](err); ok && filepath.IsAbs(path.Path) && !errors.As(err, new(*os.SyscallError)) {
		return fmt.Sprintf("the disk of %s is full; where that is the store's, mpull prune shows what can be freed", filepath.Dir(path.Path))
	}
	return "mpull prune shows what can be freed"
}

// askedHint says what helps where a registry did not give what was asked for.
func askedHint(e *registry.AskError) string {
	switch e.Problem {
	case registry.NeedsLogin:
		if e.LoggedIn {
			return fmt.Sprintf("that login may not see it, or it is not there: mpull login %s with another account", e.Host)
		}
		return fmt.Sprintf("mpull login %s, if it is there and needs an account", e.Host)
	case registry.SpeaksHTTP:
		return fmt.Sprintf("if it is meant to be without TLS: --tls-verify=false, or insecure = true for %s in registries.conf", e.Host)
	case registry.UntrustedTLS:
		return fmt.Sprintf("put its CA into /etc/containers/certs.d/%s/ca.crt, or into DIR/ca.crt with --cert-dir DIR; --tls-verify=false trusts anybody", e.Host)
	case registry.NoSuchTag:
		return noTagHint(e)
	case registry.NoSuchRepository:
		if looksLikeID(lastPart(e.Repository)) {
			return "that looks like an image ID, and registries know names and digests: mpull images --all lists what is here"
		}
		return fmt.Sprintf("check the spelling; a repository that is private needs mpull login %s", e.Host)
	case registry.NoSuchHost:
		return fmt.Sprintf("check the spelling of %s, and the network: the name of a registry comes first, as in docker.io/library/alpine", e.Host)
	case registry.NobodyListens:
		return fmt.Sprintf("nothing listens there: check host and port of %s", e.Host)
	}
	return ""
}

// noTagHint names the tag that was meant, if one is near.
func noTagHint(e *registry.AskError) string {
	list, near := "mpull tags "+e.Repository, nearest(e.Tag, e.Tags, max(maxDistance, len(e.Tag)/3))
	switch {
	case near != "":
		return fmt.Sprintf("did you mean %s:%s? %s lists them all", e.Repository, near, list)
	case len(e.Tags) > 0:
		return fmt.Sprintf("%s lists the %s that there are", list, plural(len(e.Tags), "tag"))
	}
	return list + " lists the tags that there are"
}

// looksLikeID tells whether a word can be the ID of an image, short or full.
func looksLikeID(s string) bool {
	return (len(s) == narrowestID || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == "" && strings.ContainsAny(s, "0123456789")
}

// policyHint is the line that makes a signature policy: the installed sample
// where there is one.
func policyHint(e *registry.NoPolicyError) string {
	if !errors.Is(e, os.ErrNotExist) {
		return "mend that file; mpull info names the files that are in force"
	}
	if e.Named {
		return "name another with --policy-file, or none: then the machine's own is read"
	}
	into, sudo := "/etc/containers/policy.json", "sudo "
	if os.Geteuid() == 0 {
		sudo = ""
	}
	if sample := policySample(); sample != "" {
		return fmt.Sprintf("%sinstall -D -m 644 %s %s takes images without signatures", sudo, sample, into)
	}
	return `one that takes images without signatures: mkdir -p ~/.config/containers && echo '{"default":[{"type":"insecureAcceptAnything"}]}' > ~/.config/containers/policy.json`
}

// policySample is where the sample policy.json lies: where make install or a
// package puts it, or in the source tree; "" when it is in none of them.
func policySample() string {
	const sample = "contrib/config/policy.json"
	places := []string{"/usr/share/doc/mpull", "/usr/local/share/doc/mpull"}
	if program, err := os.Executable(); err == nil {
		up := filepath.Dir(filepath.Dir(program))
		places = append([]string{filepath.Join(up, "share/doc/mpull"), up}, places...)
	}
	for _, place := range places {
		if info, err := os.Stat(filepath.Join(place, sample)); err == nil && info.Mode().IsRegular() {
			return filepath.Join(place, sample)
		}
	}
	return ""
}
