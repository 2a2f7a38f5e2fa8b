package inflate

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

// ErrDamaged is the error of data that no compressor writes.
var ErrDamaged = errors.New("the compressed data is damaged")

const (
	history  = 32 << 10 // how far back a match may be
	inWindow = 128<<10 - 1
	// full is where the window ends for decoding: a symbol may write two literals, a
	// match of 258 bytes, and some words more than it has.
	full = inWindow - 512
	// lookahead is how many bytes are read for one symbol at most: eight at once,
	// and again where seven of them were used.
	lookahead = 16
)

type kind int

const (
	noBlock kind = iota
	stored
	coded
)

// blocks decodes the blocks of one member (RFC 1951) into a window.
type blocks struct {
	in     *bufio.Reader
	window *[inWindow + 8]byte
	end    int // of what is in the window

	bits  uint64 // that were read and not used, the next the lowest
	count uint   // of them, less than 8 between symbols
	block kind
	final bool // it is the last block
	left  int  // of a stored block, bytes to come

	fixed       bool // the tables are those of fixed blocks
	literals    literalTable
	distances   distanceTable
	ofLiterals  symbols
	ofDistances symbols
	ofLengths   symbols
	tail        [lookahead]byte // of the input, and zeros
}

// reset begins a stream of blocks.
func (b *blocks) reset() {
	b.end, b.bits, b.count, b.block, b.final = 0, 0, 0, noBlock, false
}

// slide makes room in a full window: what a match may reach stays.
func (b *blocks) slide() {
	if b.end >= full {
		b.end = copy(b.window[:], b.window[b.end-history:b.end])
	}
}

// decode adds to the window until that is full or, done, the last block ended.
func (b *blocks) decode() (done bool, err error) {
	for b.end < full && err == nil {
		switch b.block {
		case noBlock:
			if b.final {
				b.bits, b.count = 0, 0 // the rest of a byte
				return true, nil
			}
			err = b.header()
		case stored:
			err = b.copyStored()
		case coded:
			err = b.decodeCoded()
		}
	}
	return false, err
}

// more adds a byte to the bits.
func (b *blocks) more() error {
	c, err := b.in.ReadByte()
	if err != nil {
		return unexpected(err)
	}
	b.bits |= uint64(c) << b.count
	b.count += 8
	return nil
}

// take returns the next n bits, at most 32.
func (b *blocks) take(n uint) (int, error) {
	for b.count < n {
		if err := b.more(); err != nil {
			return 0, err
		}
	}
	v := b.bits & (1<<n - 1)
	b.bits, b.count = b.bits>>n, b.count-n
	return int(v), nil
}

// header reads the header of a block (RFC 1951, 3.2.3).
func (b *blocks) header() error {
	v, err := b.take(3)
	if err != nil {
		return err
	}
	b.final = v&1 != 0
	b.block = coded
	switch v >> 1 {
	case 0:
		b.bits, b.count = 0, 0 // the rest of a byte
		var size [4]byte
		if _, err := io.ReadFull(b.in, size[:]); err != nil {
			return unexpected(err)
		}
		n := binary.LittleEndian.Uint16(size[:])
		if n != ^binary.LittleEndian.Uint16(size[2:]) {
			return ErrDamaged
		}
		b.block, b.left = stored, int(n)
		return nil
	case 1:
		return b.fixedCodes()
	case 2:
		return b.dynamicCodes()
	}
	return ErrDamaged
}

func (b *blocks) copyStored() error {
	n, err := io.ReadFull(b.in, b.window[b.end:min(b.end+b.left, full)])
	b.end += n
	b.left -= n
	if b.left == 0 {
		b.block = noBlock
	}
	return unexpected(err)
}

// fixedCodes makes the tables of RFC 1951, 3.2.6.
func (b *blocks) fixedCodes() error {
	if b.fixed {
		return nil
	}
	var lens [numLiterals + 2 + numDistances + 2]uint8
	for i := range lens {
		switch {
		case i < 144:
			lens[i] = 8
		case i < 256:
			lens[i] = 9
		case i < 280:
			lens[i] = 7
		case i < 288:
			lens[i] = 8
		default:
			lens[i] = 5
		}
	}
	b.fixed = b.fill(lens[:], 288)
	return nil
}

// fill makes both tables from the lengths of codes, first those of literals.
func (b *blocks) fill(lens []uint8, literals int) bool {
	b.fixed = false
	if !fill(b.literals[:], literalBits, b.ofLiterals, lens[:literals]) ||
		!fill(b.distances[:], distanceBits, b.ofDistances, lens[literals:]) {
		return false
	}
	pair(b.literals[:1<<literalBits], literalBits)
	return true
}

// dynamicCodes reads the codes of a block (RFC 1951, 3.2.7).
func (b *blocks) dynamicCodes() error {
	v, err := b.take(14)
	if err != nil {
		return err
	}
	literals := v&31 + 257
	total := literals + v>>5&31 + 1
	if literals > numLiterals || total-literals > numDistances {
		return ErrDamaged
	}
	var first [numLengths]uint8
	order := [...]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
	for _, symbol := range order[:v>>10+4] {
		n, err := b.take(3)
		if err != nil {
			return err
		}
		first[symbol] = uint8(n)
	}
	var table lengthTable
	if !fill(table[:], lengthBits, b.ofLengths, first[:]) {
		return ErrDamaged
	}
	var lens [numLiterals + numDistances]uint8
	for i := 0; i < total; {
		n, times, err := b.length(&table)
		if err != nil {
			return err
		}
		if n == again {
			if i == 0 {
				return ErrDamaged
			}
			n = lens[i-1]
		}
		if i+times > total {
			return ErrDamaged
		}
		for range times {
			lens[i] = n
			i++
		}
	}
	if !b.fill(lens[:total], literals) {
		return ErrDamaged
	}
	return nil
}

// again stands for the length of the code before.
const again = 16

// length reads the length of one code, or of several alike.
func (b *blocks) length(table *lengthTable) (n uint8, times int, err error) {
	e := table[b.bits&(1<<lengthBits-1)]
	for e.bits() > b.count {
		if err := b.more(); err != nil {
			return 0, 0, err
		}
		e = table[b.bits&(1<<lengthBits-1)]
	}
	if e&flagOther != 0 {
		return 0, 0, ErrDamaged
	}
	b.bits, b.count = b.bits>>e.bits(), b.count-e.bits()
	switch v := e.value(); v {
	case again:
		times, err = b.take(2)
		return again, 3 + times, err
	case 17:
		times, err = b.take(3)
		return 0, 3 + times, err
	case 18:
		times, err = b.take(7)
		return 0, 11 + times, err
	default:
		return uint8(v), 1, nil
	}
}

// ahead returns what is buffered of the input, and at which offset the last symbol
// may begin there. Where the input ends sooner than that needs, with the error
// returned, it is zeros after n bytes, and one symbol is decoded at a time.
func (b *blocks) ahead() (in []byte, last, n int, err error) {
	if b.in.Buffered() < lookahead {
		_, err = b.in.Peek(lookahead)
	}
	in, _ = b.in.Peek(b.in.Buffered())
	if n = len(in); n >= lookahead {
		return in, n - lookahead, n, nil
	}
	clear(b.tail[copy(b.tail[:], in):])
	return b.tail[:], 0, n, err
}

// decodeCoded decodes a block of codes, to its end or until the window is full.
func (b *blocks) decodeCoded() error {
	for b.block == coded && b.end < full {
		in, last, n, short := b.ahead()
		p, why := b.symbols(in, last, position{end: b.end, bits: b.bits, count: b.count})
		used := p.at - int(p.count>>3)
		if used > n {
			return unexpected(short)
		}
		if _, err := b.in.Discard(used); err != nil {
			return err
		}
		b.end, b.count = p.end, p.count&7
		b.bits = p.bits & (1<<b.count - 1)
		switch why {
		case atEnd:
			b.block = noBlock
		case atDamage:
			return ErrDamaged
		}
	}
	return nil
}
