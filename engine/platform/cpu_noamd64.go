//go:build !amd64

package platform

// readCPUID has nothing to ask where the CPUID instruction does not exist.
func readCPUID() cpuidFacts { return cpuidFacts{} }
