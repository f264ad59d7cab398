package rewriter

import "encoding/binary"

// Most of a style sheet is ordinary: declarations that load nothing, whose ends
// change nothing. It is passed over eight bytes at a time.

// ordinary reports whether the scanner stands where the end of a declaration or
// block changes nothing but that a custom property may follow.
func (s *cssScanner) ordinary() bool { return s.depth == 0 && !s.imp && !s.custom && !s.doubleByte }

// skip goes through ordinary text to a byte that is not, or to what may be a custom
// property. It is not ok if b ends first.
func (s *cssScanner) skip(b []byte, i, from int, final bool) (int, bool) {
	start := i
	for i = skipCSS(b, i); i < len(b) && b[i] == '-' && s.midAt(b, start, i); i = skipCSS(b, i+2) {
	}
	if i == len(b) {
		if !final {
			i = held(b, from)
		}
		s.mid = s.midAt(b, start, i)
		return i, false
	}
	if b[i] == '\\' && i > start && b[i-1] == '-' {
		if s.mid = s.midAt(b, start, i-1); !s.mid {
			s.begin(b, i-1, final) // the escape may be the second dash
			return i, true
		}
	}
	s.mid = s.midAt(b, start, i)
	return i, true
}

// midAt tells what mid is at at, if it was right at i and nothing between the two
// is of the class cssRare.
func (s *cssScanner) midAt(b []byte, i, at int) bool {
	for at > i && isCSSSpace(b[at-1]) {
		at--
	}
	if at == i {
		return s.mid
	}
	c := b[at-1]
	return c != ';' && c != '{' && c != '}'
}

// cssPairs has a bit for each two bytes, the first in the lower half, of which one
// is a cssRare.
var cssPairs = func() *[1 << 10]uint64 {
	t := new([1 << 10]uint64)
	for x := range 1 << 16 {
		if (cssClass[x&0xff]|cssClass[x>>8])&cssRare != 0 {
			t[x>>6] |= 1 << (x & 63)
		}
	}
	return t
}()

// skipCSS returns the first place at or behind i where a byte of the class cssRare
// or a pair of dashes stands, or len(b).
func skipCSS(b []byte, i int) int {
	const ones, highs, dashes = 0x0101010101010101, 0x8080808080808080, 0x2d2d2d2d2d2d2d2d
	t := cssPairs
	before := uint64(0) // not 0 if a dash stands in front of i
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		d := x ^ dashes
		d = (d - ones) &^ d & highs // of each byte that is a dash the uppermost bit
		if d&(d<<8|before) != 0 {
			break
		}
		before = 0
		if t[x>>6&0x3ff]&(1<<(x&63)) != 0 || t[x>>22&0x3ff]&(1<<(x>>16&63)) != 0 ||
			t[x>>38&0x3ff]&(1<<(x>>32&63)) != 0 || t[x>>54]&(1<<(x>>48&63)) != 0 {
			break
		}
		before = d >> 56
	}
	if before != 0 {
		i--
	}
	for i < len(b) && cssClass[b[i]]&cssRare == 0 && !(b[i] == '-' && i+1 < len(b) && b[i+1] == '-') {
		i++
	}
	return i
}
