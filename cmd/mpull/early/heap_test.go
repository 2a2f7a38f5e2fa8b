package early

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// TestHeap reads back from the kernel what init asked for.
func TestHeap(t *testing.T) {
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage"); err != nil {
		t.Skip("this kernel has no transparent huge pages: ", err)
	}
	smaps, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer smaps.Close()
	at := uintptr(unsafe.Pointer(inHeap))
	inside := false
	var start, end uintptr
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		var from, to uintptr
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x ", &from, &to); n == 2 {
			start, end, inside = from, to, from <= at && at < to
		}
		if flags, ok := strings.CutPrefix(lines.Text(), "VmFlags:"); ok && inside {
			if !slices.Contains(strings.Fields(flags), "hg") {
				t.Errorf("the heap's flags are%s, without hg", flags)
			}
			// The first piece may be the last of what the runtime reserves at once.
			const reserved = 64 << 20
			if next := at&^(heapPiece-1) + heapPiece; next%reserved != 0 && end <= next {
				t.Errorf("huge pages are asked for %x-%x, not for the heap's next piece at %x", start, end, next)
			}
			return
		}
	}
	t.Errorf("no mapping holds %x", at)
}
