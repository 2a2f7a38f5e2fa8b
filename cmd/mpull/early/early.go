package early

import (
	_ "embed"
	"os"
	"syscall"
	"unsafe"
)

// Version and Commit say what this program is. The linker sets them; see the
// Makefile.
var (
	Version = "0.1.0-dev"
	Commit  = "unknown"
)

// VersionLine is what mpull version prints.
func VersionLine() string { return "mpull " + Version + " (commit " + Commit + ")\n" }

// help is what mpull --help prints in 80 columns.
//
//go:embed help.txt
var help string

func init() { //nolint:gochecknoinits // to come before other packages' is what this one is for
	text := answer(os.Args)
	if text == "" {
		return
	}
	// What cannot be written is for main to report.
	if _, err := os.Stdout.WriteString(text); err == nil {
		os.Exit(0)
	}
}

// answer is what a command line prints, "" when it takes the whole program.
func answer(args []string) string {
	if len(args) != 2 {
		return ""
	}
	switch args[1] {
	case "version":
		return VersionLine()
	case "--help", "-h", "help":
		if !terminal(1) {
			return help
		}
	}
	return ""
}

// terminal tells whether a file descriptor is one: then the help is as wide.
func terminal(fd uintptr) bool {
	var t syscall.Termios
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TCGETS, uintptr(unsafe.Pointer(&t)))
	return errno == 0
}
