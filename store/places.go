package store

import "path/filepath"

// places is where the library keeps the lists of a store, their locks and what
// belongs to their records. A store has several files of a kind when it has an
// image store apart from its graph root, or records that a reboot may lose.
type places struct {
	layers, images, containers []string // lists
	mounts                     string   // list of mounted layers
	layerLocks, imageLocks     []string
	containerLock, mountLock   string

	layerDirs, imageDirs, containerDirs []string // folders of the lists and of big data
	homes                               []string // folders of the driver
}

func placesOf(graphRoot, runRoot, imageStore, driver string, transient bool) places {
	in := func(root, kind string, more ...string) string {
		return filepath.Join(append([]string{root, driver + "-" + kind}, more...)...)
	}
	p := places{
		layers: []string{in(graphRoot, "layers", "layers.json")}, layerLocks: []string{in(graphRoot, "layers", "layers.lock")},
		images: []string{in(graphRoot, "images", "images.json")}, imageLocks: []string{in(graphRoot, "images", "images.lock")},
		mounts: in(runRoot, "layers", "mountpoints.json"), mountLock: in(runRoot, "layers", "mountpoints.lock"),
		layerDirs: []string{in(graphRoot, "layers")}, imageDirs: []string{in(graphRoot, "images")}, containerDirs: []string{in(graphRoot, "containers")},
		homes: []string{filepath.Join(graphRoot, driver)},
	}
	if imageStore != "" {
		p.layers = append(p.layers, in(imageStore, "layers", "layers.json"))
		p.layerLocks = append(p.layerLocks, in(imageStore, "layers", "layers.lock"))
		p.layerDirs = append(p.layerDirs, in(imageStore, "layers"))
		p.images = []string{in(imageStore, "images", "images.json"), p.images[0]}
		p.imageLocks = []string{in(imageStore, "images", "images.lock"), p.imageLocks[0]}
		p.imageDirs = []string{in(imageStore, "images"), p.imageDirs[0]}
		p.homes = append(p.homes, filepath.Join(imageStore, driver))
	}
	volatile := graphRoot
	if transient {
		volatile = runRoot
	}
	p.layers = append(p.layers, in(volatile, "layers", "volatile-layers.json"))
	p.containers = []string{in(graphRoot, "containers", "containers.json"), in(volatile, "containers", "volatile-containers.json")}
	p.containerLock = in(volatile, "containers", "containers.lock")
	return p
}
