package preflight

import (
	"fmt"

	"github.com/mpull/mpull/engine/platform"
)

// mapped follows the part of load_elf_binary that comes after the old process
// image is gone. What fails there kills the process. It returns why, or "" for
// a program whose segments can be mapped. Address space randomisation and
// memory limits are not predicted.
func (l *loading) mapped(p, ld *program) string {
	if why := l.segments(p, "segment"); why != "" {
		return why
	}
	task := p.loader.TaskSize
	if ld == nil {
		if task != 0 && p.header.Type == platform.ELFTypeExec && p.header.Entry >= task {
			return fmt.Sprintf("the entry point %#x is outside the address space", p.header.Entry)
		}
		return ""
	}
	if t := ld.header.Type; t != platform.ELFTypeExec && t != platform.ELFTypeDyn {
		return "the loader is neither executable nor shared object"
	}
	if !ld.loads() {
		return "the loader has nothing to load"
	}
	return l.segments(ld, "segment of the loader")
}

func (p *program) loads() bool {
	for _, s := range p.segs {
		if s.typ == ptLoad {
			return true
		}
	}
	return false
}

// segments checks every PT_LOAD.
func (l *loading) segments(p *program, what string) string {
	page := uint64(l.host.Page())
	n := 0
	for _, s := range p.segs {
		if s.typ != ptLoad {
			continue
		}
		if why := p.segment(s, page); why != "" {
			return fmt.Sprintf("%s %d %s", what, n, why)
		}
		n++
	}
	if n > 0 && p.header.Type == platform.ELFTypeDyn {
		span := p.span(page)
		if span == 0 || p.loader.TaskSize != 0 && span > p.loader.TaskSize {
			return fmt.Sprintf("the segments span %d bytes", span)
		}
	}
	return ""
}

// mmapMinAddr is the usual vm.mmap_min_addr: pages below need CAP_SYS_RAWIO,
// which containers do not have.
const mmapMinAddr = 65536

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
	case p.header.Type == platform.ELFTypeExec && s.memsz != 0 && s.vaddr-inPage < mmapMinAddr:
		return "is mapped below vm.mmap_min_addr"
	case p.unpadded(s, page):
		return "is shorter in the file than its header says"
	}
	return ""
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
