package preflight

import (
	"fmt"

	"github.com/mpull/mpull/engine/platform"
)

// end is how loading ends after the old process image is gone. The zero value
// is success.
type end struct {
	killed string // why the kernel kills the process with SIGSEGV
	random string // why that depends on chance
}

// mapped follows the part of load_elf_binary that comes after the old process
// image is gone. What fails there kills the process.
func (l *loading) mapped(p, ld *program) end {
	if e := l.segments(p, p.spot(ld != nil), "segment"); e != (end{}) {
		return e
	}
	if ld == nil {
		return p.entry(p.spot(false))
	}
	if t := ld.header.Type; t != platform.ELFTypeExec && t != platform.ELFTypeDyn {
		return end{killed: "the loader is neither executable nor shared object"}
	}
	if !ld.loads() {
		return end{killed: "the loader has nothing to load"}
	}
	at := ld.loaderSpot(p)
	if e := l.segments(ld, at, "segment of the loader"); e != (end{}) {
		return e
	}
	return ld.entry(at)
}

// A spot is where the kernel puts the first segment of a file. The others
// follow at their distance.
type spot struct {
	loader bool
	// known says that bias is what the kernel adds to every address. Else it
	// maps the first segment above the base of position independent programs,
	// or where there is room.
	known bool
	bias  uint64
	base  bool
}

// spot is where load_elf_binary puts a program. Without a loader the address
// comes from mapping the file; a first segment without bytes in the file maps
// none, and lands at 0.
func (p *program) spot(withLoader bool) spot {
	switch {
	case p.header.Type == platform.ELFTypeExec, !p.loads():
		return spot{known: true}
	case withLoader:
		return spot{base: true}
	case p.empty():
		return spot{known: true, bias: -p.firstPage()}
	}
	return spot{}
}

// loaderSpot is where load_elf_interp puts the loader of a program: a position
// independent one, of a program with a fixed address, where it was linked if
// there is room.
func (p *program) loaderSpot(main *program) spot {
	at := spot{loader: true}
	fixed := main.header.Type == platform.ELFTypeExec || !main.loads()
	switch {
	case p.header.Type == platform.ELFTypeExec, fixed && p.empty():
		at.known = true
	case p.empty():
		at.known, at.bias = true, -p.firstPage()
	case fixed:
		at.bias, at.known = p.hinted(main)
	}
	return at
}

// lowestHint is CONFIG_LSM_MMAP_MIN_ADDR as distributions have it: the kernel
// maps no lower where it may choose (round_hint_to_min of mm/mmap.c).
const lowestHint = 1 << 16

// hinted is what the kernel adds to the addresses of a loader that it maps
// where it was linked, or at the lowest address that may be mapped. It does so
// where nothing else lies; ok is false elsewhere and near the stack.
func (p *program) hinted(main *program) (bias uint64, ok bool) {
	first, span, task := p.firstPage(), p.span(), p.loader.TaskSize
	if first == 0 || task == 0 {
		return 0, false
	}
	at := max(first, lowestHint)
	below := task - 4*p.stackGap()
	if at >= below || span > below-at {
		return 0, false
	}
	low, high := main.bounds()
	if at < high && low < at+span {
		return 0, false
	}
	return at - first, true
}

// empty reports whether the first segment has no bytes in the file.
func (p *program) empty() bool {
	for _, s := range p.segs {
		if s.typ == ptLoad {
			return s.filesz == 0
		}
	}
	return false
}

// firstPage is the page of the first segment's address.
func (p *program) firstPage() uint64 { return p.first() &^ (p.page - 1) }

// entry checks that the first instruction lies in the address space. Where
// the kernel chooses the address it is near the top, at random: within a
// seventh, the most that vm.mmap_rnd_bits allows.
func (p *program) entry(at spot) end {
	task, e := p.loader.TaskSize, p.header.Entry
	rel := e - p.firstPage()
	bad := end{killed: fmt.Sprintf("the entry point %#x is outside the address space", e)}
	switch {
	case task == 0:
		return end{}
	case at.known:
		if at.bias+e >= task {
			return bad
		}
		return end{}
	case rel <= p.span()+p.stackGap():
		return end{}
	case -rel < task-task/7: // below the file
		return end{}
	case rel < task/7 || -rel < task:
		return end{random: fmt.Sprintf("whether the entry point %#x is in the address space depends on chance", e)}
	}
	return bad
}

// stackGap is what mmap_base of arch/x86/mm/mmap.c leaves free above the files
// at least: the stack's random offset, 16 GiB, or 128 MiB.
func (p *program) stackGap() uint64 {
	if p.loader.Class64 {
		return 16 << 30
	}
	return 128 << 20
}

// first is the address of the first segment.
func (p *program) first() uint64 {
	for _, s := range p.segs {
		if s.typ == ptLoad {
			return s.vaddr
		}
	}
	return 0
}

func (p *program) loads() bool {
	for _, s := range p.segs {
		if s.typ == ptLoad {
			return true
		}
	}
	return false
}

// segments checks every PT_LOAD, and whether all fit where the kernel puts them.
func (l *loading) segments(p *program, at spot, what string) end {
	limit := l.host.MaxMapping
	whole := at.loader || p.header.Type == platform.ELFTypeDyn // the first mapping reserves the whole span
	n := 0
	for _, s := range p.segs {
		if s.typ != ptLoad {
			continue
		}
		needs := s.needs()
		if n == 0 && whole && s.filesz != 0 && s.flags&pfWrite != 0 {
			needs = max(needs, p.span())
		}
		why := p.segment(s, at)
		switch low := at.known && (at.bias+s.vaddr)&^(p.page-1) < l.host.MmapMinAddr && s.memsz != 0; {
		case why != "":
		case low:
			why = "is mapped below vm.mmap_min_addr"
		case limit != 0 && needs > limit:
			why = fmt.Sprintf("needs %d bytes of memory", needs)
		}
		if why != "" {
			return end{killed: fmt.Sprintf("%s %d %s", what, n, why)}
		}
		n++
	}
	if n > 0 && whole {
		return p.layout(at, l.host)
	}
	return end{}
}

// layout checks what concerns all segments of a file that is mapped as a
// whole.
func (p *program) layout(at spot, h platform.Host) end {
	task, span := p.loader.TaskSize, p.span()
	tooLarge := end{killed: fmt.Sprintf("the segments span %d bytes", span)}
	switch {
	case span == 0:
		return tooLarge
	case task == 0:
		return end{}
	case at.known:
		if first := at.bias + p.first(); !p.empty() && (first >= task || span > task-first) {
			return tooLarge
		}
		return end{}
	case at.base:
		return p.aboveBase(span, h, tooLarge)
	case p.alignment() > task && !at.loader:
		return end{killed: "the alignment leaves only address 0"}
	}
	// The whole span is mapped right below what is taken at the top; what lies
	// before the first segment goes below that.
	top, random := task-p.stackGap(), p.loader.MaxRandom+p.stackGap()+p.alignment()
	switch needs := span + p.before() + h.MmapMinAddr; {
	case needs > top:
		return tooLarge
	case needs > top-min(top, random):
		return p.noRoom(span)
	}
	return end{}
}

// noRoom is for a span that fits only if what is random leaves enough.
func (p *program) noRoom(span uint64) end {
	return end{random: fmt.Sprintf("whether there is room for the %d bytes that the segments span depends on chance", span)}
}

// before is how far below the first segment others lie.
func (p *program) before() uint64 {
	lowest, _ := p.bounds()
	return p.firstPage() - lowest
}

// aboveBase checks a program with a loader: it is mapped at ELF_ET_DYN_BASE and
// a random offset, aligned, and must not reach the stack.
func (p *program) aboveBase(span uint64, h platform.Host, tooLarge end) end {
	if p.loader.DynBase == 0 {
		return end{}
	}
	lowest, highest := p.loader.DynBase, p.loader.DynBase+p.loader.MaxRandom
	if a := p.alignment(); a > 1 {
		lowest, highest = lowest&^(a-1), highest&^(a-1)
	}
	below, random := p.before()+h.MmapMinAddr, 2*p.stackGap()
	switch task := p.loader.TaskSize; {
	case highest < below:
		return end{killed: "no address is left below the first segment"}
	case span > task-lowest:
		return tooLarge
	case lowest < below, span > task-highest-random:
		return p.noRoom(span)
	}
	return end{}
}

// alignment is maximum_alignment: the largest power of two asked for.
func (p *program) alignment() uint64 {
	most := uint64(0)
	for _, s := range p.segs {
		if s.typ == ptLoad && s.aligned&(s.aligned-1) == 0 {
			most = max(most, s.aligned)
		}
	}
	return most
}

const pfWrite = 2

// maxOffset is MAX_LFS_FILESIZE, the limit of overlayfs, xfs and tmpfs.
const maxOffset = 1<<63 - 1

// segment is elf_load and the checks after it.
func (p *program) segment(s segment, at spot) string {
	page, task := p.page, p.loader.TaskSize
	inPage := s.vaddr & (page - 1)
	outside := func(addr uint64) bool { return task != 0 && (addr >= task || s.memsz > task || task-s.memsz < addr) }
	switch {
	case s.filesz > s.memsz:
		return "has more bytes in the file than in memory"
	// The addresses of a program are looked at as they are in its header,
	// those of a loader where they are mapped.
	case !at.loader && outside(s.vaddr), at.known && outside(at.bias+s.vaddr), task != 0 && s.memsz > task:
		return "lies outside the address space"
	case s.filesz != 0 && (s.offset-inPage)&(page-1) != 0:
		return "has an offset and an address that differ within a page"
	case s.filesz != 0 && (s.filesz > maxOffset || s.offset-inPage > maxOffset-s.filesz):
		return "lies outside the range of file offsets"
	case p.unpadded(s):
		return "is shorter in the file than its header says"
	}
	return ""
}

// needs is the memory that the segment takes of its own, in bytes: what is
// writable, or not in the file.
func (s segment) needs() uint64 {
	if s.flags&pfWrite != 0 {
		return max(s.filesz, s.memsz-s.filesz)
	}
	return s.memsz - s.filesz
}

// unpadded reports whether the rest of the last page cannot be cleared because
// that page lies beyond the end of the file (padzero of fs/binfmt_elf.c).
func (p *program) unpadded(s segment) bool {
	end := s.offset + s.filesz
	tail := (s.vaddr + s.filesz) & (p.page - 1)
	if s.filesz == 0 || s.memsz == s.filesz || s.flags&pfWrite == 0 || tail == 0 {
		return false
	}
	return end-tail >= uint64(p.size)
}

// span is total_mapping_size: from the lowest page to the highest byte.
func (p *program) span() uint64 {
	lo, hi := p.bounds()
	return hi - lo
}

// bounds are the lowest page and the highest byte; of a file without segments
// the first lies above the second.
func (p *program) bounds() (lo, hi uint64) {
	lo = ^uint64(0)
	for _, s := range p.segs {
		if s.typ == ptLoad {
			lo = min(lo, s.vaddr&^(p.page-1))
			hi = max(hi, s.vaddr+s.memsz)
		}
	}
	return lo, hi
}
