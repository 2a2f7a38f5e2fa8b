// Package node tests mpull on a Kubernetes node: in a store whose images,
// sandboxes, containers and image volumes are records as CRI-O makes them,
// through the library that CRI-O uses, on CRI-O's directory layout. CRI-O itself
// need not be here.
package node
