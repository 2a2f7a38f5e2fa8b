package engine

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/mpull/mpull/engine/platform"
	"github.com/mpull/mpull/store"
	"github.com/mpull/mpull/store/query"
)

// ManifestListError says that what is wanted as an image is a local manifest list,
// which names images and is none.
type ManifestListError struct {
	ID      string
	Name    string // "" when the list has none
	Members []ListMember
	// Here is the ID of the member that is for the platform asked for, or that
	// starts on this machine best, "" when none of them is here.
	Here string
}

// ListMember is an image that a manifest list names.
type ListMember struct {
	Platform string // "" when the list does not say
	Digest   digest.Digest
	ID       string // of the local image, "" when it is not here
}

func (e *ManifestListError) Error() string {
	members := make([]string, len(e.Members))
	for i, m := range e.Members {
		where := "not here"
		if m.ID != "" {
			where = query.ShortID(m.ID)
		}
		members[i] = fmt.Sprintf("%s (%s)", cmp.Or(m.Platform, m.Digest.String()), where)
	}
	return fmt.Sprintf("%s is a manifest list and no image; it names %s", cmp.Or(e.Name, query.ShortID(e.ID)), cmp.Or(strings.Join(members, ", "), "none"))
}

// of finds the image of a platform among those that an input stands for.
func (e *Engine) of(ctx context.Context, s *store.Store, view *query.View, input string, request platform.Request) (query.Found, error) {
	found, err := view.Of(input, request, e.programs(ctx, s))
	if query.IsUnknown(err) {
		if list, listErr := view.Find(input); listErr == nil && list.Image.IsList {
			return found, e.listError(ctx, s, list.Image, request)
		}
	}
	return found, err
}

// listError finds the members of a local manifest list.
func (e *Engine) listError(ctx context.Context, s *store.Store, list *store.Image, request platform.Request) error {
	snap, err := s.Snapshot(ctx)
	if err != nil {
		return err
	}
	result := &ManifestListError{ID: list.ID}
	if len(list.Names) > 0 {
		result.Name = list.Names[0]
	}
	local, said := byDigest(snap), map[digest.Digest]platform.Platform{}
	eachOffer(s, list, func(d digest.Digest, p platform.Platform) { said[d] = p })
	var here []*store.Image
	var candidates []platform.Candidate
	for _, d := range list.Members {
		m := ListMember{Digest: d, Platform: said[d].String()}
		for _, img := range local[d] {
			if img.IsList {
				continue
			}
			p := query.PlatformOf(img)
			m.ID, m.Platform = img.ID, p.String()
			here, candidates = append(here, img), append(candidates, platform.Candidate{Platform: &p})
			break
		}
		result.Members = append(result.Members, m)
	}
	if len(here) > 0 {
		chosen, _ := platform.Choose([]platform.Request{request, platform.Native(e.Platform())}, candidates)
		result.Here = here[max(chosen.Chosen, 0)].ID
	}
	return result
}
