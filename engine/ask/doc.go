// Package ask is the one way in which mpull asks what offers images: for
// documents ([Asker]) and for layers ([Blobs]). Whoever asks is watched
// ([Watchdog]), since the image library waits without an end; what fails in
// passing is tried again ([Retry]); a layer that comes slowly comes over several
// connections ([Widener]), and what came of one is kept for the next pull
// ([Keeper]).
//
// What registries are, and what they answer, is package registry's.
package ask
