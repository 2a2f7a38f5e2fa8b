package inflate

import "encoding/binary"

// stop tells why symbols were not decoded any further.
type stop int

const (
	atBounds stop = iota // of input or window
	atEnd                // of the block
	atDamage
)

// position is where decoding is.
type position struct {
	at    int    // in the input: the next byte to load
	end   int    // in the window
	bits  uint64 // loaded and not used; above count they repeat what is at the offset
	count uint
}

// symbols decodes symbols that begin in the input up to last, while the window is
// not full. This is the loop that the speed of a pull depends on: what it uses is
// in local variables, bits are loaded once or twice for a symbol, eight bytes at a
// time, and nothing is called. Places in the window are masked, which changes none
// of them: it is how the compiler knows that they are inside.
func (b *blocks) symbols(in []byte, last int, p position) (position, stop) {
	window, literals, distances := b.window, &b.literals, &b.distances
	at, end, bits, count := p.at, p.end, p.bits, p.count
	why := atBounds
loop:
	for at <= last && end < full {
		// Whole bytes that there is room for are counted. Those above are loaded
		// again, and are the same.
		bits |= binary.LittleEndian.Uint64(in[at:]) << (count & 63)
		at += int(63-count) >> 3
		count |= 56

		// With 56 bits: two literals or pairs of 11, and a length of 20.
		e := literals[bits&(1<<literalBits-1)]
		if e&flagLiteral != 0 {
			binary.LittleEndian.PutUint16(window[end&inWindow:end&inWindow+2], uint16(e>>valueShift))
			end += 1 + int(e>>7&1)
			bits >>= e & 63
			count -= uint(e & 63)
			e = literals[bits&(1<<literalBits-1)]
			if e&flagLiteral != 0 {
				binary.LittleEndian.PutUint16(window[end&inWindow:end&inWindow+2], uint16(e>>valueShift))
				end += 1 + int(e>>7&1)
				bits >>= e & 63
				count -= uint(e & 63)
				e = literals[bits&(1<<literalBits-1)]
				if e&flagLiteral != 0 {
					binary.LittleEndian.PutUint16(window[end&inWindow:end&inWindow+2], uint16(e>>valueShift))
					end += 1 + int(e>>7&1)
					bits >>= e & 63
					count -= uint(e & 63)
					continue
				}
			}
		}
		if e&flagOther != 0 {
			if e&flagLink != 0 {
				e = literals[int(e>>valueShift)+int(bits>>literalBits&(1<<(e>>8&15)-1))]
			}
			if e&(flagLiteral|flagOther) != 0 {
				bits >>= e & 63
				count -= uint(e & 63)
				if e&flagLiteral != 0 {
					window[end&inWindow] = byte(e >> valueShift)
					end++
					continue
				}
				why = atDamage
				if e&flagEnd != 0 {
					why = atEnd
				}
				break loop
			}
		}
		to := end + int(e>>valueShift) + int(bits&(1<<(e&63)-1)>>(e>>8&15))
		bits >>= e & 63
		count -= uint(e & 63)

		// A distance has 28 bits at most.
		if count < 28 {
			bits |= binary.LittleEndian.Uint64(in[at:]) << (count & 63)
			at += int(63-count) >> 3
			count |= 56
		}
		e = distances[bits&(1<<distanceBits-1)]
		if e&flagOther != 0 {
			if e&flagLink != 0 {
				e = distances[int(e>>valueShift)+int(bits>>distanceBits&(1<<(e>>8&15)-1))]
			}
			if e&flagOther != 0 {
				bits >>= e & 63
				count -= uint(e & 63)
				why = atDamage
				break loop
			}
		}
		distance := int(e>>valueShift) + int(bits&(1<<(e&63)-1)>>(e>>8&15))
		bits >>= e & 63
		count -= uint(e & 63)
		if distance > end {
			why = atDamage
			break loop
		}

		// The match is copied in words: what is too much is written over later.
		from := end - distance
		for distance < 8 { // what repeats in a word is made as long as one
			binary.LittleEndian.PutUint64(window[end&inWindow:end&inWindow+8], binary.LittleEndian.Uint64(window[from&inWindow:from&inWindow+8]))
			end += distance
			distance *= 2
		}
		for {
			binary.LittleEndian.PutUint64(window[end&inWindow:end&inWindow+8], binary.LittleEndian.Uint64(window[from&inWindow:from&inWindow+8]))
			binary.LittleEndian.PutUint64(window[(end+8)&inWindow:(end+8)&inWindow+8], binary.LittleEndian.Uint64(window[(from+8)&inWindow:(from+8)&inWindow+8]))
			end += 16
			from += 16
			if end >= to {
				break
			}
		}
		end = to
	}
	return position{at, end, bits, count}, why
}
