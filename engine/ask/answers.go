package ask

import (
	"context"
	"errors"
	"net"
	"net/http/httptrace"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// longestDocument is more than any answer has that is not a blob: the
	// library reads manifests, tokens and the like up to 4 MiB.
	longestDocument = 16 << 20
	// growth is what has to come between two looks: the end of an answer may come
	// after who reads it has all.
	growth = 64 << 10
	// answersPoll is how often connections are looked at.
	answersPoll = 50 * time.Millisecond
)

// errEndless is the cause when an answer is longer than any good one.
var errEndless = errors.New("the registry's answer does not end")

// answers bounds what a registry answers, by the connections on which answers
// come: the image library reads the text of an error without a bound, and a
// hostile one does not end. An answer longer than any document has to be that
// of a blob, and how many of these are being read is known. Other answers than
// those over TCP are not bounded.
type answers struct {
	mu    sync.Mutex
	conns map[net.Conn]*answering
	blobs int // being read
	were  int // at the last look
}

// answering is the answer that comes on a connection.
type answering struct {
	tcp    *net.TCPConn
	before uint64 // bytes received when it was asked for
	last   uint64 // at the last look
	long   bool   // it was longer than any document then
}

// trace makes ctx tell of the connections that requests under it use.
func (a *answers) trace(ctx context.Context) context.Context {
	a.conns = map[net.Conn]*answering{}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		tcp := tcpOf(info.Conn)
		if tcp == nil {
			return
		}
		n, ok := received(tcp)
		a.mu.Lock()
		defer a.mu.Unlock()
		if ok {
			a.conns[info.Conn] = &answering{tcp: tcp, before: n, last: n}
		}
	}})
}

// blob says that one more blob is being read, or with -1 one less.
func (a *answers) blob(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.blobs += n
}

// endless looks at the connections. One that was beyond any document at the
// last look, and has grown since, brings one of the blobs that were being read
// then; where there are more such connections than blobs, one brings something
// else.
func (a *answers) endless() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	long := 0
	for conn, c := range a.conns {
		n, ok := received(c.tcp)
		if !ok { // closed
			delete(a.conns, conn)
			continue
		}
		if c.long && n-c.last > growth {
			long++
		}
		c.last, c.long = n, n-c.before > longestDocument
	}
	endless := long > a.were
	a.were = a.blobs
	return endless
}

// tcpOf returns what is below TLS.
func tcpOf(c net.Conn) *net.TCPConn {
	for {
		switch t := c.(type) {
		case *net.TCPConn:
			return t
		case interface{ NetConn() net.Conn }:
			c = t.NetConn()
		default:
			return nil
		}
	}
}

// received returns how many bytes came on a connection (tcp(7), TCP_INFO).
func received(c *net.TCPConn) (n uint64, ok bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, false
	}
	var info *unix.TCPInfo
	controlErr := raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
	if controlErr != nil || err != nil {
		return 0, false
	}
	return info.Bytes_received, true
}
