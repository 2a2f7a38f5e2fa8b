package early

import (
	"syscall"
	"unsafe"
)

// firstHeap is what Go's runtime maps for its heap before the first package
// is initialized, in one piece aligned to its size (src/runtime/mheap.go,
// (*mheap).grow; pallocChunkBytes).
const firstHeap = 4 << 20

var inHeap *[64]byte

// init asks for huge pages under the heap's first piece. Filling it page by
// page costs a thousand page faults, a quarter of the time of a small command
// on a virtual machine; where the kernel gives huge pages only to who asks
// (/sys/kernel/mm/transparent_hugepage/enabled: madvise, as Fedora and Ubuntu
// have it), two do. It is a hint: where it fails, nothing is lost.
func init() { //nolint:gochecknoinits // to come before other packages' is what this one is for
	inHeap = new([64]byte)
	start := uintptr(unsafe.Pointer(inHeap)) &^ (firstHeap - 1)
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, start, firstHeap, syscall.MADV_HUGEPAGE)
}
