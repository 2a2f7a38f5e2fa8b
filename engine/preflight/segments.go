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
	if why := l.segments(p, ld != nil, "segment"); why != "" {
		return end{killed: why}
	}
	if task := p.loader.TaskSize; task != 0 && p.header.Type == platform.ELFTypeDyn && p.alignment() > task {
		return end{killed: "the alignment leaves only address 0"}
	}
	if ld == nil {
		return p.entry(l.host)
	}
	if t := ld.header.Type; t != platform.ELFTypeExec && t != platform.ELFTypeDyn {
		return end{killed: "the loader is neither executable nor shared object"}
	}
	if !ld.loads() {
		return end{killed: "the loader has nothing to load"}
	}
	if why := l.segments(ld, false, "segment of the loader"); why != "" {
		return end{killed: why}
	}
	return ld.entry(l.host)
}

// entry checks that the first instruction lies in the address space. Position
// independent files go near the top of it, at random: within a seventh, the
// most that vm.mmap_rnd_bits allows.
func (p *program) entry(h platform.Host) end {
	task, e := p.loader.TaskSize, p.header.Entry
	rel := e - p.first()&^(uint64(h.Page())-1)
	bad := end{killed: fmt.Sprintf("the entry point %#x is outside the address space", e)}
	switch {
	case task == 0:
		return end{}
	case p.header.Type == platform.ELFTypeExec:
		if e >= task {
			return bad
		}
		return end{}
	case rel <= p.span(uint64(h.Page()))+p.stackGap():
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

// segments checks every PT_LOAD. placed says that the kernel chooses the
// address before it looks at the segments, as for programs with a loader; the
// address of others comes from mapping the file, so that a first segment
// without bytes in the file stays where it says.
func (l *loading) segments(p *program, placed bool, what string) string {
	page, limit := uint64(l.host.Page()), l.host.MaxMapping
	fixed := p.header.Type == platform.ELFTypeExec
	n := 0
	for _, s := range p.segs {
		if s.typ != ptLoad {
			continue
		}
		needs := s.needs()
		if n == 0 && !fixed && s.filesz != 0 && s.flags&pfWrite != 0 {
			needs = max(needs, p.span(page)) // the first mapping reserves the whole span
		}
		why := p.segment(s, page)
		switch low := s.vaddr&^(page-1) < l.host.MmapMinAddr && s.memsz != 0; {
		case why != "":
		case low && (fixed || !placed && n == 0 && s.filesz == 0):
			why = "is mapped below vm.mmap_min_addr"
		case limit != 0 && needs > limit:
			why = fmt.Sprintf("needs %d bytes of memory", needs)
		}
		if why != "" {
			return fmt.Sprintf("%s %d %s", what, n, why)
		}
		n++
	}
	if n > 0 && !fixed {
		return p.layout(page)
	}
	return ""
}

// layout checks what concerns all segments of a position independent file.
func (p *program) layout(page uint64) string {
	task, span := p.loader.TaskSize, p.span(page)
	if span == 0 || task != 0 && span > task {
		return fmt.Sprintf("the segments span %d bytes", span)
	}
	return ""
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
func (p *program) segment(s segment, page uint64) string {
	inPage := s.vaddr & (page - 1)
	task := p.loader.TaskSize
	switch {
	case s.filesz > s.memsz:
		return "has more bytes in the file than in memory"
	case task != 0 && (s.vaddr >= task || s.memsz > task || task-s.memsz < s.vaddr):
		return "lies outside the address space"
	case s.filesz != 0 && (s.offset-inPage)&(page-1) != 0:
		return "has an offset and an address that differ within a page"
	case s.filesz != 0 && (s.filesz > maxOffset || s.offset-inPage > maxOffset-s.filesz):
		return "lies outside the range of file offsets"
	case p.unpadded(s, page):
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
func (p *program) unpadded(s segment, page uint64) bool {
	end := s.offset + s.filesz
	tail := (s.vaddr + s.filesz) & (page - 1)
	if s.filesz == 0 || s.memsz == s.filesz || s.flags&pfWrite == 0 || tail == 0 {
		return false
	}
	return end-tail >= uint64(p.size)
}

// span is total_mapping_size: from the lowest page to the highest byte.
func (p *program) span(page uint64) uint64 {
	lo, hi := ^uint64(0), uint64(0)
	for _, s := range p.segs {
		if s.typ == ptLoad {
			lo = min(lo, s.vaddr&^(page-1))
			hi = max(hi, s.vaddr+s.memsz)
		}
	}
	return hi - lo
}
