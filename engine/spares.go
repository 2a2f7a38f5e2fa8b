package engine

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"go.podman.io/storage/pkg/unshare"

	"github.com/mpull/mpull/gc"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// spares returns what no prune takes, whatever it is told: the images that
// CRI-O's configuration pins, and those that the caller protects.
func (e *Engine) spares(view *query.View, protect []string) (func(*store.Image) (gc.Reason, string), error) {
	config, err := e.config.Store.CRIO.Config()
	if err != nil {
		return nil, err
	}
	rules := make([]query.Matcher, len(protect))
	for i, text := range protect {
		if rules[i], err = protection(view, text); err != nil {
			return nil, err
		}
	}
	return func(img *store.Image) (gc.Reason, string) {
		if pattern := config.Pins(img.Names...); pattern != "" {
			return gc.PinnedByCRIO, pattern
		}
		for i, rule := range rules {
			if rule(img) == nil {
				return gc.Protected, protect[i]
			}
		}
		return "", ""
	}, nil
}

// protection reads one reference: what the filters reference, digest and id
// take, by what it looks like. NAME@DIGEST means the image with that digest,
// whatever its names are now.
func protection(view *query.View, text string) (query.Matcher, error) {
	key, value := "reference", text
	if at := strings.LastIndexByte(text, '@'); at > 0 {
		key, value = "digest", text[at+1:]
	} else if strings.HasPrefix(text, "sha256:") {
		key = "digest"
	}
	matchers := make([]query.Matcher, 0, 2)
	for _, one := range []string{key, "id"} {
		if one == "id" && !isIDPart(text) {
			continue
		}
		f, err := query.ParseFilter(one + "=" + value)
		if err != nil {
			return nil, fmt.Errorf("protecting %q: %w", text, err)
		}
		m, err := view.Match([]query.Filter{f}, view.Since, time.Now())
		if err != nil {
			return nil, fmt.Errorf("protecting %q: %w", text, err)
		}
		matchers = append(matchers, m)
	}
	return func(img *store.Image) (missed *query.Filter) {
		for _, m := range matchers {
			if missed = m(img); missed == nil {
				return nil
			}
		}
		return missed
	}, nil
}

// isIDPart tells whether a text can be the beginning of an image's ID.
func isIDPart(text string) bool {
	text = strings.TrimPrefix(text, "sha256:")
	return len(text) >= 12 && len(text) <= 64 && strings.Trim(text, "0123456789abcdef") == ""
}

// grace is how long an image without a container is spared.
func (e *Engine) grace(snap *store.Snapshot, o *PruneOptions) (time.Duration, error) {
	if o.Young != nil {
		return *o.Young, nil
	}
	if slices.ContainsFunc(o.Filters, func(f query.Filter) bool { return strings.HasPrefix(f.String(), "until") }) {
		return 0, nil
	}
	here, err := e.crioHere(snap)
	if err != nil || !here {
		return 0, err
	}
	return DefaultGrace, nil
}

// crioSocket is where CRI-O listens.
const crioSocket = "/var/run/crio/crio.sock"

// crioHere tells whether CRI-O works on the store: there is a configuration, a
// container of its making, or it runs. An ordinary user's store is none of its
// own.
func (e *Engine) crioHere(snap *store.Snapshot) (bool, error) {
	config, err := e.config.Store.CRIO.Config()
	if err != nil || config.Present() {
		return err == nil, err
	}
	if slices.ContainsFunc(snap.Containers, func(c store.Container) bool { return c.Pod != "" }) {
		return true, nil
	}
	if e.config.Store.CRIO == nil || unshare.IsRootless() {
		return false, nil
	}
	_, err = os.Stat(crioSocket)
	return err == nil, nil
}

// elsewhere tells, and for all images refuses, that the containers which use
// the images cannot be seen.
func (e *Engine) elsewhere(all bool) error {
	err := e.config.Store.Elsewhere()
	where, ok := errors.AsType[*store.ElsewhereError](err)
	if all || !ok {
		return err
	}
	e.note("warning: %v: of what they use only what is mounted now is seen", where)
	return nil
}

// PinnedError says that an image was to be removed which CRI-O's configuration
// pins. It is a kind of store.ErrInUse.
type PinnedError struct {
	Name    string // by which it is pinned
	Pattern string
	Files   []string // of the configuration
}

func (e *PinnedError) Error() string {
	return fmt.Sprintf("%s is pinned by CRI-O (%s in %s)", e.Name, e.Pattern, strings.Join(e.Files, ", "))
}

// Unwrap makes it a store.ErrInUse.
func (e *PinnedError) Unwrap() error { return store.ErrInUse }
