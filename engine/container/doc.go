// Package container starts one program in a container, through an OCI runtime
// (runc, crun): the runtime's configuration, its start, the signals that pass
// through, and the end, also of a container whose mpull was killed.
//
// What starts, and whether it would, is decided before (package preflight); the
// root filesystem is mounted by package store.
package container
