package platform

// cpuid executes the CPUID instruction for a leaf and sub-leaf.
func cpuid(leaf, sub uint32) (a, b, c, d uint32)

// xgetbv returns the low half of XCR0: the register state that the kernel
// saves. It may be called only when CPUID reports OSXSAVE.
func xgetbv() uint32

// readCPUID asks this CPU.
func readCPUID() cpuidFacts {
	var f cpuidFacts
	maxLeaf, _, _, _ := cpuid(0, 0)
	_, _, f.ecx1, _ = cpuid(1, 0)
	if maxLeaf >= 7 {
		_, f.ebx7, _, _ = cpuid(7, 0)
	}
	if maxExt, _, _, _ := cpuid(0x80000000, 0); maxExt >= 0x80000001 {
		_, _, f.ecxExt, _ = cpuid(0x80000001, 0)
	}
	if f.ecx1&bitOSXSAVE != 0 {
		f.xcr0 = xgetbv()
	}
	return f
}
