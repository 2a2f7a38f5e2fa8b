// Package sessions holds tests of what mpull finds where its user logs in from:
// which store, run root, driver and auth file are in force, beside podman, and
// that reading changes none of them.
package sessions
