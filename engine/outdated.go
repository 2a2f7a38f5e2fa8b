package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/types"
	"golang.org/x/sync/errgroup"

	"github.com/mpull/mpull/engine/ask"
	"github.com/mpull/mpull/engine/registry"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// TagState says how a tag here compares with the registry's. Field values are
// stable: scripts use them.
type TagState string

// States of a tag.
const (
	TagCurrent  TagState = "current"
	TagOutdated TagState = "outdated" // the registry has another image under it
	TagUnknown  TagState = "unknown"  // the registry did not say
)

// TagStatus is one row of Outdated. Field names are stable: templates and
// scripts use them.
type TagStatus struct {
	Name   string
	State  TagState
	Have   digest.Digest // of the lock, or of the local image
	Now    digest.Digest // of the registry, "" when it did not say
	Reason string        // why it is unknown
	Err    error         `json:"-"`
}

// OutdatedOptions says what to compare.
type OutdatedOptions struct {
	Lock  *Lock // its digests, instead of those of local images
	Retry Retry
}

// Outdated asks the registry, with one HEAD request for each name, whether tags
// still stand for what is here: for inputs, without any for all that the lock or
// the store has. Names of localhost are of no registry and left out of all. A
// registry that is silent is asked once. When ctx ends the rows tell what was
// answered until then.
func (e *Engine) Outdated(ctx context.Context, inputs []string, o OutdatedOptions) ([]TagStatus, error) {
	tags, err := e.heldTags(ctx, inputs, o.Lock)
	if err != nil {
		return nil, err
	}
	rows := make([]TagStatus, len(tags))
	silent := &silence{hosts: map[string]error{}}
	var g errgroup.Group
	g.SetLimit(ask.Workers)
	for i, t := range tags {
		g.Go(func() error {
			rows[i] = e.tagStatus(ctx, t, o.Retry, silent)
			return nil
		})
	}
	_ = g.Wait() // what failed is in the rows
	if ctx.Err() != nil {
		return rows, context.Cause(ctx)
	}
	return rows, nil
}

// silence remembers the registries that did not answer: they are not waited for
// again, neither for another name nor in another try.
type silence struct {
	mu    sync.Mutex
	hosts map[string]error
}

func (s *silence) of(host string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.hosts[host]; err != nil {
		return ask.UsedUp(err)
	}
	return nil
}

func (s *silence) note(host string, err error) error {
	if !errors.Is(err, ask.ErrStalled) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hosts[host] = err
	return ask.UsedUp(err)
}

// heldTag is a name, and the digests under which what it names is known.
type heldTag struct {
	name    string
	digests []digest.Digest // the first is shown
}

func (e *Engine) heldTags(ctx context.Context, inputs []string, l *Lock) (tags []heldTag, err error) {
	if l != nil {
		names, err := e.inLock(l, inputs)
		for _, n := range names {
			tags = append(tags, heldTag{n, []digest.Digest{l.Images[n].Digest}})
		}
		return tags, err
	}
	err = e.read(ctx, func(_ *store.Store, snap *store.Snapshot) error {
		if len(inputs) == 0 {
			tags = allTags(snap)
			return nil
		}
		for _, input := range inputs {
			found, err := e.view(snap).Find(input)
			if err != nil {
				return err
			}
			if !query.IsTag(found.Name) {
				return errors.New(input + " is no tag here: only a tag can be outdated")
			}
			tags = append(tags, tagOf(found.Image, found.Name))
		}
		return nil
	})
	return tags, err
}

func allTags(snap *store.Snapshot) (tags []heldTag) {
	for i := range snap.Images {
		img := &snap.Images[i]
		for _, n := range img.Names {
			if !img.IsList && query.IsTag(n) && !strings.HasPrefix(n, "localhost/") {
				tags = append(tags, tagOf(img, n))
			}
		}
	}
	slices.SortFunc(tags, func(a, b heldTag) int { return strings.Compare(a.name, b.name) })
	return tags
}

func tagOf(img *store.Image, name string) heldTag {
	digests := slices.Clone(img.Digests)
	if at := slices.Index(digests, img.Digest); at > 0 {
		digests[0], digests[at] = digests[at], digests[0]
	}
	return heldTag{name, digests}
}

func (e *Engine) tagStatus(ctx context.Context, t heldTag, retry Retry, silent *silence) TagStatus {
	row := TagStatus{Name: t.name, State: TagUnknown}
	if len(t.digests) > 0 {
		row.Have = t.digests[0]
	}
	row.Now, row.Err = e.headDigest(ctx, t.name, retry, silent)
	switch {
	case row.Err != nil:
		row.Reason = row.Err.Error()
	case slices.Contains(t.digests, row.Now):
		row.State, row.Have = TagCurrent, row.Now
	default:
		row.State = TagOutdated
	}
	return row
}

func (e *Engine) headDigest(ctx context.Context, name string, retry Retry, silent *silence) (now digest.Digest, err error) {
	ref, err := registry.ParseTag(name)
	if err != nil {
		return "", err
	}
	host := reference.Domain(ref.DockerReference())
	err = retry.Do(ctx, e.asker, func() error {
		if err := silent.of(host); err != nil {
			return err
		}
		return silent.note(host, e.asker.Once(ctx, retry, func(ctx context.Context, sys *types.SystemContext, watch *ask.Watchdog) (err error) {
			now, err = registry.HeadDigest(ctx, sys, ref, watch.Asked)
			return err
		}))
	})
	if err != nil {
		err = fmt.Errorf("asking for %s: %w", name, err)
	}
	return now, err
}
