package preflight

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/mpull/mpull/engine/host"
)

// Where a kernel puts a file depends on chance. An address is therefore known
// as the lowest and the highest that it can be.
type within struct{ lo, hi uint64 }

func (w within) plus(n uint64) within { return within{w.lo + n, w.hi + n} }

// extent is a mapped piece of the address space, from start to before end.
type extent struct{ start, end uint64 }

// space is the address space of a program on x86 before anything but its stack
// is mapped: arch_pick_mmap_layout of arch/x86/mm/mmap.c.
type space struct {
	task     uint64 // TASK_SIZE; 0 where the kernel's address space is not known
	page     uint64
	low      uint64 // vm.mmap_min_addr
	dyn      within // where a program with a loader is mapped
	top      within // mmap_base: files are mapped below, the highest first
	bottom   within // mmap_legacy_base: where the search from below begins
	stack    within // the stack's lowest address
	bottomUp bool   // the search from below is the only one
	aligns   bool   // programs without a loader are aligned as they ask, since Linux 6.10
}

const (
	guardGap  = 256 * 4096    // stack_guard_gap: nothing is mapped right below a stack
	leastGap  = 128 << 20     // SIZE_128M of mmap_base
	stackMore = 128 << 10     // what setup_arg_pages adds to a stack that may be so large
	stackTop  = 64 << 10      // what lies there beside arguments: names, padding, what a runtime adds
	hugePage  = 2 << 20       // to which a file system may align a larger mapping
	oddSpace  = 1 << 36       // end of what a 64-bit kernel of any kind maps
	oddSpan   = 1<<30 - 1<<24 // the same of a 32-bit one, less what it maps itself
)

// spaceOf is the address space of a program of this kind, with a limit on the
// stack and so many bytes of arguments.
func spaceOf(l host.Loader, h host.Facts, stack, args uint64) space {
	s := space{task: l.TaskSize, page: uint64(h.Page()), low: h.MmapMinAddr, bottomUp: h.LegacyLayout, aligns: since(h.Kernel, 6, 10)}
	if l.DynBase == 0 {
		return s
	}
	random := func(least uint64) within { return within{least, least + l.MaxRandom} }
	s.dyn = random(l.DynBase)
	s.top = random(s.pageUp(s.task-s.gap(stack, guardGap+l.StackRandom)) - l.MaxRandom)
	s.bottom = random(s.pageUp(s.task / 3))
	s.stack = within{s.task - l.StackRandom - s.pageUp(args) - stackTop - stackMore, s.task - s.page - min(stackMore, stack)}
	return s
}

// since reports whether a kernel's release is at least that of major and minor;
// what does not say it is not.
func since(release string, major, minor int) bool {
	var a, b int
	if n, _ := fmt.Sscanf(release, "%d.%d", &a, &b); n < 2 {
		return false
	}
	return a > major || a == major && b >= minor
}

// gap is what mmap_base leaves for the stack: its limit and pad, within bounds.
func (s space) gap(limit, pad uint64) uint64 {
	if limit+pad > limit {
		limit += pad
	}
	return min(max(limit, leastGap), s.task/6*5)
}

func (s space) pageUp(n uint64) uint64 { return roundUp(n, s.page) }

// extents are the pieces that a program maps, sorted and merged, as its
// addresses say.
func (p *program) extents() []extent {
	var all []extent
	for _, s := range p.loads {
		if e := (extent{s.vaddr &^ (p.page - 1), roundUp(s.vaddr+s.memsz, p.page)}); e.start < e.end && s.memsz != 0 {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b extent) int { return cmp.Compare(a.start, b.start) })
	var merged []extent
	for _, e := range all {
		if n := len(merged); n > 0 && e.start <= merged[n-1].end {
			merged[n-1].end = max(merged[n-1].end, e.end)
			continue
		}
		merged = append(merged, e)
	}
	return merged
}

// room is a free piece of the address space between two that are taken: where it
// begins and where it ends. A hole lies between two pieces of one file, and moves
// as a whole with that file.
type room struct {
	from, to within
	hole     bool
}

// rooms are the free pieces around what is taken at bias, the lowest first.
func (s space) rooms(taken []extent, bias within) []room {
	var all []room
	from := within{s.low, s.low}
	for i, e := range taken {
		all = append(all, room{from, bias.plus(e.start), i > 0})
		from = bias.plus(e.end)
	}
	end := within{s.stack.lo - guardGap, s.stack.hi - guardGap}
	return append(all, room{from: from, to: end})
}

// A search is one walk of the kernel through the rooms, below an address or
// above one.
type search struct {
	rooms []room // in the order in which they are tried
	clip  within // the address
	up    bool   // above it
}

// clipped is a room as far as the search may use it.
func (s search) clipped(r room) room {
	if s.up {
		r.from = within{max(r.from.lo, s.clip.lo), max(r.from.hi, s.clip.hi)}
	} else {
		r.to = within{min(r.to.lo, s.clip.lo), min(r.to.hi, s.clip.hi)}
	}
	return r
}

// sizes returns the least size that a room can have, and the most.
func (s search) sizes(r room) (least, most uint64) {
	c := s.clipped(r)
	least, most = less(c.to.lo, c.from.hi), less(c.to.hi, c.from.lo)
	if r.hole {
		most = min(most, less(r.to.lo, r.from.lo))
		if c == r {
			least = most
		}
	}
	return least, most
}

// less is a-b, and 0 where b is more.
func less(a, b uint64) uint64 {
	if a < b {
		return 0
	}
	return a - b
}

// find returns where the search puts size bytes. It is sure when there is room
// whatever chance brings, and never when there is room in no case.
func (s search) find(size uint64) (at within, sure, never bool) {
	at, never = within{^uint64(0), 0}, true
	for _, r := range s.rooms {
		least, most := s.sizes(r)
		if most < size {
			continue
		}
		never = false
		c := s.clipped(r)
		here := c.from
		if !s.up {
			here = within{less(c.to.lo, size), less(c.to.hi, size)}
		}
		at = within{min(at.lo, here.lo), max(at.hi, here.hi)}
		if least >= size {
			return at, true, false
		}
	}
	return at, false, never
}

// float is get_unmapped_area for size bytes without a wish: below mmap_base,
// the highest room first, else from below.
func (s space) float(size uint64, taken []extent, bias within) (within, end) {
	size = s.pageUp(size)
	rooms := s.rooms(taken, bias)
	at, sure, never := search{}.find(size)
	if !s.bottomUp {
		down := slices.Clone(rooms)
		slices.Reverse(down)
		at, sure, never = search{down, s.top, false}.find(size)
	}
	if !sure {
		up, sureUp, neverUp := search{rooms, s.bottom, true}.find(size)
		at = within{min(at.lo, up.lo), max(at.hi, up.hi)}
		sure, never = sureUp, never && neverUp
	}
	if size >= hugePage {
		at = within{max(less(at.lo, hugePage), min(at.lo, s.low)), at.hi + hugePage}
	}
	switch {
	case never:
		return within{}, spans(size)
	case !sure:
		return at, chance(size)
	}
	return at, end{}
}

// beyond is about programs that ask for addresses above 47 bits. A kernel with page
// tables of five levels has such addresses, and what it does with them is not
// followed here.
func (l *loading) beyond(p *program) end {
	const most = 1 << 56
	if p == nil || !l.host.FiveLevels || !p.loader.Class64 {
		return end{}
	}
	task := p.loader.TaskSize
	reaches := p.header.Entry >= task && p.header.Entry < most
	for _, s := range p.loads {
		reaches = reaches || s.vaddr < most && s.vaddr+s.memsz > task
	}
	if !reaches {
		return end{}
	}
	return end{unsure: p.id.path + " asks for addresses above 47 bits, and what a kernel with page tables of five levels maps there is not known here"}
}
