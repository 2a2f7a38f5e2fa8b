package preflight

import (
	"fmt"
	"slices"

	"github.com/mpull/mpull/engine/host"
)

// end is how loading ends after the old process image is gone. The zero value
// is success.
type end struct {
	killed string // why the kernel kills the process with SIGSEGV
	unsure string // why that is not known: it depends on chance
	small  bool   // and that is as it was linked for smaller pages
}

// or adds what else ends the loading: what kills it for sure comes first.
func (e end) or(f end) end {
	if e.killed != "" || f.killed == "" && e.unsure != "" {
		return e
	}
	return f
}

// mapped follows the part of load_elf_binary that comes after the old process
// image is gone. What fails there kills the process.
func (l *loading) mapped(p, ld *program) end {
	if e := l.beyond(p).or(l.beyond(ld)); e != (end{}) {
		return e
	}
	e := l.mappedUnder(p, ld, l.host.Stack())
	if l.cur.changesID && l.host.Stack() > uint64(host.UsualStack) && l.mappedUnder(p, ld, uint64(host.UsualStack)) != e {
		return end{unsure: "whether it starts depends on its set-user-ID or set-group-ID bit, which does not count where there are no new privileges, and else lowers the limit on the stack to 8 MiB"}
	}
	return e
}

// mappedUnder is mapped with a limit on the stack.
func (l *loading) mappedUnder(p, ld *program, stack uint64) end {
	s := spaceOf(p.loader, l.host, stack, l.arguments())
	at, e := s.program(p, ld != nil)
	e = e.or(l.segments(p, at, "segment"))
	switch {
	case e.killed != "":
		return e
	case ld == nil:
		return e.or(p.entry(at)).or(p.pages())
	case ld.header.Type != host.ELFTypeExec && ld.header.Type != host.ELFTypeDyn:
		return end{killed: "the loader is neither executable nor shared object"}
	case len(ld.loads) == 0:
		return end{killed: "the loader has nothing to load"}
	}
	to, f := s.loader(ld, p, at)
	return e.or(f).or(l.segments(ld, to, "segment of the loader")).or(ld.entry(to)).or(p.pages()).or(ld.pages())
}

// arguments is the size of arguments and environment, of which each has a
// pointer too.
func (l *loading) arguments() uint64 {
	n := 0
	for _, s := range slices.Concat(l.cmd.Argv(), l.cmd.Environ()) {
		n += len(s) + 1 + 8
	}
	return uint64(n)
}

// A spot is where the kernel puts a file.
type spot struct {
	loader bool   // the file is the loader of a program
	bias   within // what the kernel adds to every address of the file
	// known says that every kernel puts the file there. Else bias means nothing
	// where the kernel's address space is not known.
	known bool
}

// fixed is the spot of a file to whose addresses every kernel adds bias.
func fixed(bias uint64) spot { return spot{bias: within{bias, bias}, known: true} }

// program is where load_elf_binary puts a program. Without a loader the address
// comes from mapping the file; a first segment without bytes in the file maps
// none, and lands at 0.
func (s space) program(p *program, withLoader bool) (spot, end) {
	span := p.span()
	switch {
	case p.header.Type == host.ELFTypeExec, len(p.loads) == 0:
		return fixed(0), s.odd(p).or(s.spares(p, within{}))
	case span == 0:
		return fixed(0), spans(span)
	case s.task == 0:
		return spot{}, s.odd(p)
	case withLoader:
		return s.based(p, span)
	case p.empty():
		at := fixed(-p.firstPage())
		if p.first() != p.firstPage() {
			return at, end{killed: "the first segment has no bytes in the file and begins within a page"}
		}
		return at, s.spares(p, at.bias)
	}
	at, e := s.float(span, nil, within{})
	if a := p.alignment(); a > p.page {
		back := s.pageUp(p.first()) - p.firstPage()
		aligned := within{less(at.lo&^(a-1), back), less(at.hi&^(a-1), back)}
		if !s.aligns {
			aligned.hi = at.hi // or where it was found, by older kernels
		}
		at = aligned
	}
	return spot{bias: at.plus(-p.firstPage())}, e.or(s.reaches(p, at))
}

// based is where a position independent program with a loader goes: at
// ELF_ET_DYN_BASE and a random offset, aligned.
func (s space) based(p *program, span uint64) (spot, end) {
	base := s.dyn
	if a := p.alignment(); a > 1 {
		base = within{base.lo &^ (a - 1), base.hi &^ (a - 1)}
	}
	at := spot{bias: base.plus(-s.pageUp(p.first()))}
	first, e := at.bias.plus(p.firstPage()), end{}
	switch {
	case p.empty():
		e = s.spares(p, at.bias)
	case span > less(s.stack.hi, first.lo):
		e = spans(span)
	case span > less(s.stack.lo, first.hi):
		e = chance(span)
	}
	return at, e.or(s.reaches(p, first))
}

// reaches checks what lies before the first segment, which is at first.
func (s space) reaches(p *program, first within) end {
	lowest, _ := p.bounds()
	switch below := p.firstPage() - lowest + s.low; {
	case first.hi < below:
		return end{killed: "no address is left below the first segment"}
	case first.lo < below:
		return end{unsure: "whether there is room below the first segment depends on chance"}
	}
	return end{}
}

// loader is where load_elf_interp puts the loader of a program that is at at.
func (s space) loader(p, main *program, at spot) (spot, end) {
	var to spot
	var e end
	first, span, own := p.firstPage(), p.span(), at.bias == within{} && at.known // own: no_base is 0
	switch {
	case p.header.Type == host.ELFTypeExec:
		to, e = fixed(0), s.odd(p).or(s.clears(p, span)).or(s.spares(p, within{}))
	case span == 0:
		e = spans(span)
	case s.task == 0:
		e = s.odd(p)
	case p.empty() && own:
		to, e = fixed(0), s.spares(p, within{})
	case p.empty():
		to = fixed(-first)
		e = s.spares(p, to.bias)
	default:
		to, e = s.mappedLoader(p, main, at.bias, own)
	}
	to.loader = true
	return to, e
}

// mappedLoader is where a position independent loader goes: where it was
// linked, if its program lies at a fixed address and there is room, or anywhere.
func (s space) mappedLoader(p, main *program, bias within, own bool) (spot, end) {
	first, span := p.firstPage(), p.span()
	if wish := max(first, lowestHint, s.low); own && first != 0 && s.free(wish, span, main) {
		switch {
		case span <= less(s.stack.lo-guardGap, wish):
			return fixed(wish - first), end{}
		case span <= less(s.stack.hi-guardGap, wish):
			return spot{bias: within{s.low - first, s.stack.hi - first}}, chance(span)
		}
	}
	at, e := s.float(span, main.extents(), bias)
	return spot{bias: at.plus(-first)}, e.or(s.reaches(p, at))
}

// lowestHint is CONFIG_LSM_MMAP_MIN_ADDR as distributions have it: the kernel
// maps no lower where it may choose (round_hint_to_min of mm/mmap.c).
const lowestHint = 1 << 16

// free reports whether a program with a fixed address maps nothing there.
func (s space) free(at, span uint64, main *program) bool {
	for _, e := range main.extents() {
		if at < e.end && e.start < at+s.pageUp(span) {
			return false
		}
	}
	return true
}

// clears checks the first mapping of a loader with a fixed address, which
// reserves the whole span and throws away what was there, the stack too.
func (s space) clears(p *program, span uint64) end {
	first := p.firstPage()
	switch {
	case span == 0:
		return spans(span)
	case s.task == 0 || p.empty():
		return end{}
	case first >= s.task || span > s.task-first:
		return spans(span)
	case first <= s.stack.lo && s.pageUp(first+span) >= s.task:
		return end{killed: "the loader takes the place of the stack"}
	case first+span > s.stack.lo:
		return end{unsure: "whether the loader takes the place of the stack depends on chance"}
	}
	return end{}
}

// spares is for a file whose segments are mapped one by one, with no place
// reserved for all of them: they must lie in the address space, and not where the
// stack is.
func (s space) spares(p *program, bias within) end {
	for _, e := range p.extents() {
		switch {
		case s.task == 0:
		case bias.lo+e.end > s.task:
			return end{killed: fmt.Sprintf("a segment is mapped up to %#x, outside the address space", bias.lo+e.end)}
		case bias.hi+e.end > s.stack.lo:
			return end{unsure: "whether a segment takes the place of the stack depends on chance"}
		}
	}
	return end{}
}

// odd is for kernels whose address space is not known. There small files at low
// addresses find their place; of others that is not known.
func (s space) odd(p *program) end {
	limit := uint64(oddSpan)
	if p.loader.Class64 {
		limit = oddSpace
	}
	_, high := p.bounds()
	if s.task != 0 || len(p.loads) == 0 || high <= limit && p.span() <= limit {
		return end{}
	}
	return end{unsure: fmt.Sprintf("whether this kernel's address space reaches to %#x is not known", high)}
}

func spans(span uint64) end {
	return end{killed: fmt.Sprintf("the segments span %d bytes", span)}
}

// chance is for a span that fits only if what is random leaves enough.
func chance(span uint64) end {
	return end{unsure: fmt.Sprintf("whether there is room for the %d bytes that the segments span depends on chance", span)}
}

// empty reports whether the first segment has no bytes in the file.
func (p *program) empty() bool { return len(p.loads) > 0 && p.loads[0].filesz == 0 }

// firstPage is the page of the first segment's address.
func (p *program) firstPage() uint64 { return p.first() &^ (p.page - 1) }

// entry checks that the first instruction lies in the address space.
func (p *program) entry(at spot) end {
	task, e := p.loader.TaskSize, p.header.Entry
	from, to := at.bias.lo+e, at.bias.hi+e
	switch {
	case task == 0 || from < task && to < task && from <= to:
		return end{}
	case from >= task && to >= task && from <= to:
		return end{killed: fmt.Sprintf("the entry point %#x is outside the address space", e)}
	}
	return end{unsure: fmt.Sprintf("whether the entry point %#x is in the address space depends on chance", e)}
}

// first is the address of the first segment, 0 without any.
func (p *program) first() uint64 {
	if len(p.loads) == 0 {
		return 0
	}
	return p.loads[0].vaddr
}

// segments checks every PT_LOAD.
func (l *loading) segments(p *program, at spot, what string) end {
	limit := l.host.MaxMapping
	whole := at.loader || p.header.Type == host.ELFTypeDyn // the first mapping reserves the whole span
	for n, s := range p.loads {
		needs := s.needs()
		if n == 0 && whole && s.filesz != 0 && s.flags&pfWrite != 0 {
			needs = max(needs, p.span())
		}
		why := p.segment(s, at)
		switch low := at.known && (at.bias.lo+s.vaddr)&^(p.page-1) < l.host.MmapMinAddr && s.memsz != 0; {
		case why != "":
		case low:
			why = "is mapped below vm.mmap_min_addr"
		case limit != 0 && needs > limit:
			why = fmt.Sprintf("needs %d bytes of memory", needs)
		}
		if why != "" {
			return end{killed: fmt.Sprintf("%s %d %s", what, n, why)}
		}
	}
	return end{}
}

// alignment is maximum_alignment: the largest power of two asked for.
func (p *program) alignment() uint64 {
	most := uint64(0)
	for _, s := range p.loads {
		if s.aligned&(s.aligned-1) == 0 {
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
	case !at.loader && outside(s.vaddr), at.known && outside(at.bias.lo+s.vaddr), task != 0 && s.memsz > task:
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
	for _, s := range p.loads {
		lo = min(lo, s.vaddr&^(p.page-1))
		hi = max(hi, s.vaddr+s.memsz)
	}
	return lo, hi
}
