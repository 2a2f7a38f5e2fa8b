package testenv

import "flag"

// Timeout is the flag by which a test binary that a test starts has as much time
// as the one that starts it: how long it takes is up to the machine.
func Timeout() string { return "-test.timeout=" + flag.Lookup("test.timeout").Value.String() }
