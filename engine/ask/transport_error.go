package ask

import (
	"errors"
	"io"
	"net"

	"go.podman.io/image/v5/docker"
	"golang.org/x/sys/unix"
)

// ErrStalled is the cause when next to nothing came for the idle limit.
var ErrStalled = errors.New("the registry sent next to nothing, or asked to wait,")

// passingErrno are the system errors of a connection that may work next time.
func passingErrno() []unix.Errno {
	return []unix.Errno{
		unix.ECONNREFUSED, unix.ECONNRESET, unix.ECONNABORTED, unix.EPIPE, unix.ETIMEDOUT,
		unix.ENETDOWN, unix.ENETUNREACH, unix.ENETRESET, unix.EHOSTDOWN, unix.EHOSTUNREACH, unix.EAGAIN,
	}
}

// isTransport tells whether err is a connection that broke rather than an
// answer that was given.
func isTransport(err error) bool {
	if errors.Is(err, ErrStalled) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, docker.ErrTooManyRequests) {
		return true
	}
	for _, errno := range passingErrno() {
		if errors.Is(err, errno) {
			return true
		}
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return dns.IsTemporary || dns.IsTimeout
	}
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
