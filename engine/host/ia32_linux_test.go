package host

import (
	"os"
	"os/exec"
	"runtime"
	"testing"
)

func TestIA32Switch(t *testing.T) {
	tests := []struct {
		cmdline  string
		on, said bool
	}{
		{"root=/dev/sda quiet", false, false}, {"ia32_emulation=off", false, true}, {"ia32_emulation=on x", true, true},
		{"ia32_emulation=0 ia32_emulation=1", true, true}, {"ia32_emulation=maybe", false, false}, {"xia32_emulation=off", false, false},
	}
	for _, tt := range tests {
		if on, said := ia32Switch(tt.cmdline); on != tt.on || said != tt.said {
			t.Errorf("%q: %v %v", tt.cmdline, on, said)
		}
	}
}

// TestIA32 compares the trial with what the shell makes of the same program.
func TestIA32(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("386 programs are a matter of amd64")
	}
	p := t.TempDir() + "/p"
	if err := os.WriteFile(p, ia32Program(), 0o755); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(p)
	err := c.Run()
	runs := c.ProcessState != nil && c.ProcessState.ExitCode() == ia32Exit
	got, known := tryIA32(ReadBinfmt(binfmtDir))
	if known && got != runs {
		t.Errorf("trial says %v, running it says %v (%v)", got, runs, err)
	}
	if h := Local().Facts(); known && h.Has(CompatIA32) != runs {
		t.Errorf("host says %v", h.Compat)
	}
}
