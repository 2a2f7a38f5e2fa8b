package preflight

import "fmt"

const (
	pfExec     = 1
	ptGNUStack = 0x6474e551
)

// usualPage is the page that programs for amd64 and 386, and many others, are
// linked for.
const usualPage = 4096

// pages is what becomes of segments that share a page: one that is mapped later
// takes all of it. It counts for the page of the first instruction; at other
// pages a program may die later, or never. Where a kernel's pages are larger
// than those that a program was linked for, that happens to sound programs.
func (p *program) pages() end {
	covered, code := false, false
	at := p.header.Entry &^ (p.page - 1)
	parts := 0
	for _, s := range p.loads {
		if s.memsz == 0 {
			continue
		}
		parts++
		if s.vaddr&^(p.page-1) > at || s.vaddr+s.memsz <= at {
			continue
		}
		code = code || s.flags&pfExec != 0
		covered = s.flags&pfExec == 0
	}
	switch {
	case code && covered && !p.readImpliesExec():
		return end{killed: "a segment that is not executable shares the page of the first instruction"}
	case p.page > usualPage && parts > 1 && p.alignment() < p.page:
		return end{unsure: p.smallPages(), small: true}
	}
	return end{}
}

func (p *program) smallPages() string {
	return fmt.Sprintf("%s was linked for pages of %d bytes or less, and the kernel has pages of %d", p.id.path, max(p.alignment(), 1), p.page)
}

// readImpliesExec reports whether all that can be read is executable: 32-bit
// programs that do not say that their stack is not (elf_read_implies_exec of
// arch/x86/include/asm/elf.h and its like).
func (p *program) readImpliesExec() bool {
	stack, says := p.find(ptGNUStack)
	return !p.loader.Class64 && (!says || stack.flags&pfExec != 0)
}
