package preflight

import (
	"github.com/mpull/mpull/engine/platform"
)

// Certainty says what a Result of RemoteGuess rests on.
type Certainty string

// The degrees of certainty.
const (
	// Likely: the claim decides when the image tells the truth.
	Likely Certainty = "likely"
	// Unsure: the claim alone does not decide.
	Unsure Certainty = "unsure"
)

// RemoteGuess says what to expect of an image whose files are not here, from
// the platform that its config or index claims. It cannot see scripts, missing
// files, permissions or lies, and says in Certainty how far to trust it.
func RemoteGuess(claimed platform.Platform, on Host) Result {
	facts, what := on.Facts(), claim(claimed)
	ofAnyLevel := claimed
	ofAnyLevel.Variant = ""
	h, _ := on.Handler(claimed)
	r := Result{Host: facts.Platform.String(), Platform: Platforms{Claimed: what}, Emulator: h.Interpreter}
	end := func(v Verdict, code int, c Certainty, reason, hint string) Result {
		r.Verdict, r.ExitCode, r.Certainty, r.Reason, r.Hint = v, code, c, reason, hint
		return r
	}
	unknown := func(reason string) Result { return end(Unknown, exitEngine, Unsure, reason, "") }
	switch {
	case claimed.OS == "" || claimed.Architecture == "":
		return unknown("the image does not say its platform")
	case h.InAnyImage():
		return end(Emulated, exitOK, Likely, "a binfmt_misc handler takes programs for "+what, "")
	case h.Interpreter != "" && h.Has('F'):
		return end(NotFound, exitNotFound, Unsure, "the emulator for "+what+", "+quote(h.Interpreter)+", looks for its loader inside the image, where it rarely is",
			"register a static emulator (Debian, Ubuntu: qemu-user-static)")
	case h.Interpreter != "":
		return end(NotFound, exitNotFound, Unsure, "the handler for "+what+" looks for "+quote(h.Interpreter)+" inside the image, where it rarely is",
			"register the handler with flag F")
	case facts.Native(claimed):
		return end(Native, exitOK, Likely, "the host runs "+what+" itself", "")
	case facts.Binfmt.Unread != "":
		return unknown("the binfmt_misc handlers cannot be read: " + facts.Binfmt.Unread)
	case h.Unsure != "":
		return unknown(h.Unsure)
	case facts.Native(ofAnyLevel):
		return end(IllegalInstruction, exitIllegal, Unsure, "the image asks for "+what+", the CPU has "+facts.Platform.String(), "")
	case facts.Binfmt.Hidden:
		return unknown("the host's handlers were not to be seen when its facts were read")
	case claimed.OS != facts.Platform.OS:
		return end(ExecFormatError, exitCannotInvoke, Likely, "the image is for "+claimed.OS+", and this machine runs "+facts.Platform.OS,
			"start it on a machine with "+claimed.OS)
	}
	return end(ExecFormatError, exitCannotInvoke, Likely, "the host has neither CPU nor handler for "+what,
		"pull the image for "+machineOf(facts.Platform.String())+", or register an emulator")
}
