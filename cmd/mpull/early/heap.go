package early

import (
	"syscall"
	"unsafe"
)

// firstHeap is what Go's runtime maps for its heap before the first package
// is initialized, in one piece aligned to its size (src/runtime/mheap.go,
// (*mheap).grow; pallocChunkBytes).
const firstHeap = 4 << 20

// collapse is MADV_COLLAPSE of include/uapi/asm-generic/mman-common.h, Linux 6.1.
const collapse = 25

var inHeap *[64]byte

// init asks for huge pages under the heap's first piece: those that are filled
// already, by Go's runtime, become one at once, the others when they are
// touched. Filling them page by page costs a thousand page faults, a sixth of
// the time of a small command on a virtual machine, where the kernel gives huge
// pages only to who asks (/sys/kernel/mm/transparent_hugepage/enabled: madvise,
// as Fedora and Ubuntu have it). Where that fails they are filled page by page.
func init() { //nolint:gochecknoinits // to come before other packages' is what this one is for
	inHeap = new([64]byte)
	start := uintptr(unsafe.Pointer(inHeap)) &^ (firstHeap - 1)
	for _, advice := range []uintptr{syscall.MADV_HUGEPAGE, collapse} {
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, start, firstHeap, advice)
	}
}
