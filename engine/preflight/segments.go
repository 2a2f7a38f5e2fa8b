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
	if ld == nil {
		return p.entry(l.host)
	}
	if t := ld.header.Type; t != platform.ELFTypeExec && t != platform.ELFTypeDyn {
		return end{killed: "the loader is neither executable nor shared object"}
	}
	if !ld.loads() {
		return end{killed: "the loader has nothing to load"}
	}
	if why := l.segments(ld, true, "segment of the loader"); why != "" {
		return end{killed: why}
	}
	return ld.entry(l.host)
}

// entry checks that the first instruction lies in the address space. Position
// independent files go near the top of it, at random: within a seventh, the
// most that vm.mmap_rnd_bits allows.
func (p *program) entry(h platform.Host) end {
	task, e := p.loader.TaskSize, p.header.Entry
	bad := end{killed: fmt.Sprintf("the entry point %#x is outside the address space", e)}
	switch {
	case task == 0:
		return end{}
	case p.header.Type == platform.ELFTypeExec:
		if e >= task {
			return bad
		}
		return end{}
	case e <= p.span(uint64(h.Page()))+p.stackGap():
		return end{}
	case -e < task-task/7: // below the file
		return end{}
	case e < task/7 || -e < task:
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

func (p *program) loads() bool {
	for _, s := range p.segs {
		if s.typ == ptLoad {
			return true
		}
	}
	return false
}

// segments checks every PT_LOAD. A program without a loader, and not placed
// by the kernel, has its first segment put at an address of the kernel's
// choice only when that has bytes in the file.
func (l *loading) segments(p *program, placed bool, what string) string {
	page := uint64(l.host.Page())
	fixed := p.header.Type == platform.ELFTypeExec
	n := 0
	for _, s := range p.segs {
		if s.typ != ptLoad {
			continue
		}
		why := p.segment(s, page)
		switch low := s.vaddr&^(page-1) < l.host.MmapMinAddr && s.memsz != 0; {
		case why != "":
		case low && (fixed || !placed && n == 0 && s.filesz == 0):
			why = "is mapped below vm.mmap_min_addr"
		case l.host.MaxMapping != 0 && s.needs() > l.host.MaxMapping:
			why = fmt.Sprintf("needs %d bytes of memory", s.needs())
		}
		if why != "" {
			return fmt.Sprintf("%s %d %s", what, n, why)
		}
		n++
	}
	if n > 0 && !fixed {
		span := p.span(page)
		if span == 0 || p.loader.TaskSize != 0 && span > p.loader.TaskSize {
			return fmt.Sprintf("the segments span %d bytes", span)
		}
	}
	return ""
}

const pfWrite = 2

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
	case s.filesz != 0 && (s.offset-inPage > 1<<62 || s.filesz > 1<<62):
		return "lies outside the file's range"
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
