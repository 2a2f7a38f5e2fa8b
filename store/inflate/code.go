package inflate

import "math/bits"

// An entry of a table tells what the next bits mean:
//
//	bits 0 to 5    how many bits the symbol takes, its extra bits included
//	bit  6         flagLiteral: the value is a byte
//	bit  7         flagPair: the value is two bytes, of two symbols
//	bits 8 to 11   how many bits its code has; of a link, what its table is asked with
//	bit  13        flagEnd: the block ends
//	bit  14        flagLink: the code goes on in the table that begins at the value
//	bit  15        flagOther: end, link, or no symbol at all
//	bits 16 to 31  the value: a byte or two, the least length or distance, a position
type entry uint32

const (
	flagLiteral entry = 1 << 6
	flagPair    entry = 1 << 7
	flagEnd     entry = 1 << 13
	flagLink    entry = 1 << 14
	flagOther   entry = 1 << 15
	valueShift        = 16

	maxBits      = 15 // of a code (RFC 1951, 3.2.7)
	literalBits  = 11 // that the table of literals and lengths is asked with first
	distanceBits = 8
	lengthBits   = 7 // and that of code lengths, whose codes are no longer

	numLiterals  = 286 // and lengths; two more have codes in fixed blocks, and no meaning
	numDistances = 30  // as above
	numLengths   = 19
)

func (e entry) bits() uint { return uint(e & 63) }
func (e entry) value() int { return int(e >> valueShift) }

// The tables have room for the tables that links lead to, whatever the code: zlib's
// examples/enough.c counts that for a number of symbols, of first bits and of
// bits at most (288, 11, 15; 32, 8, 15).
type (
	literalTable  [2342]entry
	distanceTable [402]entry
	lengthTable   [1 << lengthBits]entry
)

// symbols are what the codes of an alphabet stand for, without the codes: entries
// that have the extra bits only.
type symbols []entry

// literals are the symbols of RFC 1951, 3.2.5: bytes, the end, and lengths.
func literals() symbols {
	s := make(symbols, numLiterals+2)
	for i := range 256 {
		s[i] = flagLiteral | entry(i)<<valueShift
	}
	s[256] = flagOther | flagEnd
	spread(s[257:285], 3, 4)
	s[285] = 258 << valueShift
	s[286], s[287] = flagOther, flagOther
	return s
}

// distances are those of the same section: how far back a match is.
func distances() symbols {
	s := make(symbols, numDistances+2)
	spread(s[:numDistances], 1, 2)
	s[30], s[31] = flagOther, flagOther
	return s
}

// spread gives each symbol its least value, from first on: two groups have no
// extra bits, and each group after that has one more.
func spread(s symbols, first, group int) {
	for i := range s {
		extra := max(i/group-1, 0)
		s[i] = entry(first)<<valueShift | entry(extra)
		first += 1 << extra
	}
}

// lengths are the lengths of codes, and how they are repeated.
func lengths() symbols {
	s := make(symbols, numLengths)
	for i := range s {
		s[i] = entry(i) << valueShift
	}
	return s
}

// fill makes the table of a code, which is asked with so many bits first, from the
// number of bits of each symbol's code (RFC 1951, 3.2.2). It returns false where no
// code has those: more symbols than fit, or room for more, except that one symbol of one
// bit, and none at all, are complete.
func fill(table []entry, first uint, of symbols, lens []uint8) bool {
	var count, begin, code [maxBits + 2]uint
	for _, n := range lens {
		count[n]++
	}
	count[0] = 0
	left, most := 1, 0
	for n := 1; n <= maxBits; n++ {
		left = left<<1 - int(count[n])
		if left < 0 {
			return false
		}
		if count[n] > 0 {
			most = n
		}
		begin[n+1] = begin[n] + count[n]
		code[n+1] = (code[n] + count[n]) << 1
	}
	if left > 0 {
		if most > 1 {
			return false
		}
		for i := range table[:1<<first] {
			table[i] = flagOther | 1
		}
	}
	var sorted [numLiterals + 2]uint16
	next := begin
	for symbol, n := range lens {
		if n > 0 {
			sorted[next[n]] = uint16(symbol)
			next[n]++
		}
	}
	// From the longest code to the shortest, so that the first one of a further
	// table tells how large that is.
	end, size, low := uint(1)<<first, uint(0), uint(1)<<first
	for i := int(begin[most+1]) - 1; i >= 0; i-- {
		symbol := sorted[i]
		n := uint(lens[symbol])
		// A code begins with the highest bit of its number, here the lowest.
		at := uint(bits.Reverse16(uint16(code[n]+uint(i)-begin[n]))) >> (16 - n)
		e := of[symbol] + entry(n) | entry(n)<<8
		if n <= first {
			for ; at < 1<<first; at += 1 << n {
				table[at] = e
			}
			continue
		}
		if at&(1<<first-1) != low {
			low, size = at&(1<<first-1), n-first
			table[low] = flagOther | flagLink | entry(end)<<valueShift | entry(size)<<8
			end += 1 << size
		}
		for at >>= first; at < 1<<size; at += 1 << (n - first) {
			table[end-1<<size+at] = e
		}
	}
	return true
}

// pair joins two literals where both fit into the first bits of a table: what they
// decode to is written at once.
func pair(table []entry, first uint) {
	// Backwards, so that the second is not a pair yet.
	for i := len(table) - 1; i >= 0; i-- {
		one := table[i]
		two := table[i>>one.bits()]
		if n := one.bits() + two.bits(); n <= first && one&two&flagLiteral != 0 {
			table[i] = flagLiteral | flagPair | entry(n) | (one>>valueShift|two>>valueShift<<8)<<valueShift
		}
	}
}
