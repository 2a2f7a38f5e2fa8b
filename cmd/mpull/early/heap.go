package early

import (
	"syscall"
	"unsafe"
)

// heapPiece is what Go's runtime maps for its heap at a time, aligned to its
// size (src/runtime/mheap.go, (*mheap).grow; pallocChunkBytes).
const heapPiece = 4 << 20

// collapse is MADV_COLLAPSE of include/uapi/asm-generic/mman-common.h, Linux 6.1.
const collapse = 25

var inHeap *[64]byte

// init asks for huge pages under the heap that a small command needs: what is
// filled already, by Go's runtime, becomes one at once, the rest when it is
// touched. Filling it page by page costs a thousand page faults, a sixth of
// the time of a small command on a virtual machine, where the kernel gives huge
// pages only to who asks (/sys/kernel/mm/transparent_hugepage/enabled: madvise,
// as Fedora and Ubuntu have it). Where that fails it is filled page by page.
//
// The heap starts anywhere in its first piece (GOEXPERIMENT randomizedheapbase64),
// so most of it is in the next one, which has to be mapped to be asked for.
func init() { //nolint:gochecknoinits // to come before other packages' is what this one is for
	inHeap = new([64]byte)
	mapped := make(chan bool)
	go func() { mapped <- deepStack(false) }()
	<-mapped
	start := uintptr(unsafe.Pointer(inHeap)) &^ (heapPiece - 1)
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, start, 2*heapPiece, syscall.MADV_HUGEPAGE)
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, start, heapPiece, collapse)
}

// deepStack has a stack that does not fit into what is left of the heap's
// first piece. The runtime takes it from the heap, maps more for it, and has it
// back when the goroutine ends. Nothing of it is touched, and the garbage
// collector does not count it, as it would an object.
//
//go:noinline
func deepStack(touch bool) bool {
	return touch && isZero([heapPiece]byte{})
}

//go:noinline
func isZero(b [heapPiece]byte) bool { return b == [heapPiece]byte{} }
