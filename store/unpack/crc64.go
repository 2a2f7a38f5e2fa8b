package unpack

import "encoding/binary"

// crcISO is a running CRC-64/ISO, the checksum that tar-split stores for each
// file. Its value is that of hash/crc64 with the ISO table.
//
// The ISO polynomial, x^64 + x^4 + x^3 + x + 1, is so sparse that reducing
// needs a few shifts and no table: multiplying by x^64 is multiplying by
// 1+x+x^3+x^4. Squaring twice in GF(2) only spreads the exponents, so
// multiplying by x^256 is multiplying by 1+x^4+x^12+x^16, which lets four words
// be worked on independently. Bits are reflected: bit 63 stands for x^0, and
// multiplying by x^k is a shift to the right.
type crcISO uint64

// top reduces a word of coefficients x^64 to x^124 of which only the lowest
// powers (the highest bits) are set.
func top(o uint64) uint64 { return o ^ o>>1 ^ o>>3 ^ o>>4 }

// times64 multiplies by x^64.
func times64(v uint64) uint64 {
	return v ^ v>>1 ^ v>>3 ^ v>>4 ^ top(v<<63^v<<61^v<<60)
}

// times256 multiplies by x^256.
func times256(v uint64) uint64 {
	return v ^ v>>4 ^ v>>12 ^ v>>16 ^ top(v<<60^v<<52^v<<48)
}

// add appends p to what the checksum covers.
func (c *crcISO) add(p []byte) {
	s := ^uint64(*c)
	if len(p) >= 64 {
		a, b, d, e := s^binary.LittleEndian.Uint64(p), binary.LittleEndian.Uint64(p[8:]),
			binary.LittleEndian.Uint64(p[16:]), binary.LittleEndian.Uint64(p[24:])
		for p = p[32:]; len(p) >= 32; p = p[32:] {
			a = times256(a) ^ binary.LittleEndian.Uint64(p)
			b = times256(b) ^ binary.LittleEndian.Uint64(p[8:])
			d = times256(d) ^ binary.LittleEndian.Uint64(p[16:])
			e = times256(e) ^ binary.LittleEndian.Uint64(p[24:])
		}
		s = times64(times64(times64(times64(a)^b)^d) ^ e)
	}
	for ; len(p) >= 8; p = p[8:] {
		s = times64(s ^ binary.LittleEndian.Uint64(p))
	}
	for _, b := range p {
		s = s>>8 ^ top((s^uint64(b))<<56)
	}
	*c = crcISO(^s)
}

// sum returns the checksum in the byte order of hash/crc64's Sum.
func (c crcISO) sum() []byte { return binary.BigEndian.AppendUint64(nil, uint64(c)) }
