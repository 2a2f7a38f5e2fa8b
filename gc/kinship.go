package gc

import "github.com/mpull/mpull/store"

// Kin says how an image stands to the others, by podman's rules.
type Kin struct {
	Dangling bool   // no name, no child image, in no local manifest list
	Parent   string // ID of a nameless image that it was built on; "" when there is none
	Child    string // ID of an image built on it when it has no name; "" when there is none
}

// Kinship returns the Kin of every image of a snapshot, by image ID.
func Kinship(snap *store.Snapshot) map[string]Kin {
	g := newGraph(snap)
	k := newKin(g)
	kin := make(map[string]Kin, len(snap.Images))
	for i := range snap.Images {
		img := &snap.Images[i]
		var one Kin
		if len(k.parents[i]) > 0 {
			one.Parent = snap.Images[k.parents[i][0]].ID
		}
		if len(k.children[i]) > 0 {
			one.Child = snap.Images[k.children[i][0]].ID
		}
		one.Dangling = len(img.Names) == 0 && one.Child == "" && len(g.lists[img.Digest]) == 0
		kin[img.ID] = one
	}
	return kin
}

// User is what uses an image, so that it must not go whatever its names are.
type User struct {
	Reason Reason // UsedByContainer or Mounted
	By     string // ID of the container
	ByName string // its first name
}

// InUse returns what uses an image, nil when nothing does.
func InUse(snap *store.Snapshot, img *store.Image) *User {
	k, used := newGraph(snap).user(img)
	if !used {
		return nil
	}
	return &User{k.reason, k.by, k.name}
}
