//go:build isal && cgo

package unpack

/*
#cgo LDFLAGS: -lisal
#include <stdlib.h>
#include <isa-l/igzip_lib.h>

// run keeps no pointer to Go memory after it returns.
static int run(struct inflate_state *s, void *in, size_t *in_len, void *out, size_t *out_len) {
	s->next_in = in;
	s->avail_in = *in_len;
	s->next_out = out;
	s->avail_out = *out_len;
	int status = isal_inflate(s);
	*in_len -= s->avail_in;
	*out_len -= s->avail_out;
	s->next_in = s->next_out = NULL;
	return status;
}

static void start(struct inflate_state *s) {
	isal_inflate_init(s);
	s->crc_flag = ISAL_GZIP; // read the header, check the trailer
}

static int finished(struct inflate_state *s) { return s->block_state == ISAL_BLOCK_FINISH; }
*/
import "C"

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"unsafe"
)

// isalReader decompresses all members of a gzip stream with Intel's ISA-L.
type isalReader struct {
	in    *bufio.Reader
	state *C.struct_inflate_state
	err   error
}

func newGzip(in *bufio.Reader) (io.ReadCloser, error) {
	state := (*C.struct_inflate_state)(C.malloc(C.sizeof_struct_inflate_state))
	if state == nil {
		return nil, errors.New("no memory for ISA-L")
	}
	C.start(state)
	return &isalReader{in: in, state: state}, nil
}

// Read implements io.Reader.
func (r *isalReader) Read(p []byte) (int, error) {
	for r.err == nil && len(p) > 0 {
		n, err := r.inflate(p)
		r.err = err
		if n > 0 {
			return n, nil
		}
	}
	return 0, r.err
}

func (r *isalReader) inflate(p []byte) (int, error) {
	_, err := r.in.Peek(1)
	if err != nil && err != io.EOF {
		return 0, err
	}
	if C.finished(r.state) != 0 {
		if err == io.EOF {
			return 0, io.EOF
		}
		C.start(r.state) // another member
	}
	input, _ := r.in.Peek(r.in.Buffered()) // does not read, so does not fail
	used, made := C.size_t(len(input)), C.size_t(len(p))
	status := C.run(r.state, unsafe.Pointer(unsafe.SliceData(input)), &used, unsafe.Pointer(unsafe.SliceData(p)), &made)
	if _, err := r.in.Discard(int(used)); err != nil {
		return 0, err
	}
	switch {
	case status < 0:
		return int(made), fmt.Errorf("gzip: ISA-L error %d", status)
	case err == io.EOF && made == 0 && C.finished(r.state) == 0:
		return 0, io.ErrUnexpectedEOF
	}
	return int(made), nil
}

// Close implements io.Closer.
func (r *isalReader) Close() error {
	C.free(unsafe.Pointer(r.state))
	r.state, r.err = nil, errors.New("closed")
	return nil
}
