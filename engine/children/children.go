// Package children finds the processes that a process has started. The image
// library starts credential helpers and unpackers and hands out no handle to
// them, nor does a runtime to the program of its container.
package children

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Of returns the process IDs of the children of pid: the kernel lists them for
// each of its threads (proc_tid_children(5)).
func Of(pid int) []int {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return nil
	}
	var all []int
	for _, path := range tasks {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		for _, word := range strings.Fields(string(data)) {
			if child, err := strconv.Atoi(word); err == nil {
				all = append(all, child)
			}
		}
	}
	return all
}
