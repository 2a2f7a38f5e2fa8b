package host

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
)

// A StackLimit is a soft limit on the size of the stack (RLIMIT_STACK) in
// bytes. Its JSON form is the number, or "unlimited"; 0 says that the limit
// is not known and stands for UsualStack.
type StackLimit uint64

// UsualStack is the kernel's own limit (_STK_LIM), UnlimitedStack no limit
// (RLIM_INFINITY).
const (
	UsualStack     StackLimit = 8 << 20
	UnlimitedStack StackLimit = math.MaxUint64
)

// MarshalJSON writes the number, or "unlimited".
func (s StackLimit) MarshalJSON() ([]byte, error) {
	if s == UnlimitedStack {
		return []byte(`"unlimited"`), nil
	}
	return strconv.AppendUint(nil, uint64(s), 10), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *StackLimit) UnmarshalJSON(data []byte) error {
	if string(data) == `"unlimited"` {
		*s = UnlimitedStack
		return nil
	}
	n, err := strconv.ParseUint(string(data), 10, 64)
	if err != nil {
		return fmt.Errorf("a stack limit is a number of bytes or \"unlimited\", not %.40s", data)
	}
	*s = StackLimit(n)
	return nil
}

// Stack returns the stack limit, the usual one when the facts do not say.
func (f Facts) Stack() uint64 { return uint64(cmp.Or(f.StackLimit, UsualStack)) }
