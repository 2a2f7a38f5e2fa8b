package ask

import (
	"errors"
	"io"
	"net"
	"slices"

	"go.podman.io/image/v5/docker"
	"golang.org/x/sys/unix"
)

// ErrStalled is the cause when next to nothing came for the idle limit.
var ErrStalled = errors.New("the registry sent next to nothing, or asked to wait,")

// passingErrors are those of a connection that may work next time.
func passingErrors() []error {
	return []error{
		ErrStalled, io.EOF, io.ErrUnexpectedEOF, docker.ErrTooManyRequests,
		unix.ECONNREFUSED, unix.ECONNRESET, unix.ECONNABORTED, unix.EPIPE, unix.ETIMEDOUT,
		unix.ENETDOWN, unix.ENETUNREACH, unix.ENETRESET, unix.EHOSTDOWN, unix.EHOSTUNREACH, unix.EAGAIN,
	}
}

// isTransport tells whether err is a connection that broke rather than an
// answer that was given.
func isTransport(err error) bool {
	if slices.ContainsFunc(passingErrors(), func(e error) bool { return errors.Is(err, e) }) {
		return true
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns.IsTemporary || dns.IsTimeout
	}
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}
