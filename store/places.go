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
	in := func(folders []string, name string) (paths []string) {
		for _, folder := range folders {
			paths = append(paths, filepath.Join(folder, name))
		}
		return paths
	}
	layerRoots, imageRoots, volatile := []string{graphRoot}, []string{graphRoot}, graphRoot
	if imageStore != "" {
		layerRoots, imageRoots = []string{graphRoot, imageStore}, []string{imageStore, graphRoot}
	}
	if transient {
		volatile = runRoot
	}
	layers, images, containers := driver+"-layers", driver+"-images", driver+"-containers"
	p := places{
		layerDirs: in(layerRoots, layers), imageDirs: in(imageRoots, images), containerDirs: in([]string{graphRoot}, containers), homes: in(layerRoots, driver),
		mounts: filepath.Join(runRoot, layers, "mountpoints.json"), mountLock: filepath.Join(runRoot, layers, "mountpoints.lock"),
		containerLock: filepath.Join(volatile, containers, "containers.lock"),
	}
	p.layers = append(in(p.layerDirs, "layers.json"), filepath.Join(volatile, layers, "volatile-layers.json"))
	p.images, p.layerLocks, p.imageLocks = in(p.imageDirs, "images.json"), in(p.layerDirs, "layers.lock"), in(p.imageDirs, "images.lock")
	p.containers = append(in(p.containerDirs, "containers.json"), filepath.Join(volatile, containers, "volatile-containers.json"))
	return p
}
