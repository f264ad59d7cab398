package policy

import "bytes"

// escapeAt reads the escape \xNN or \uNNNN at code[i:] if it stands for an ASCII
// character. n is zero if there is no such escape.
func escapeAt(code []byte, i int) (b byte, n int) {
	if i+4 > len(code) || code[i] != '\\' {
		return 0, 0
	}
	at := i + 2
	switch code[i+1] {
	case 'x':
	case 'u':
		if i+6 > len(code) || code[i+2] != '0' || code[i+3] != '0' {
			return 0, 0
		}
		at = i + 4
	default:
		return 0, 0
	}
	hi, lo := hexDigit(code[at]), hexDigit(code[at+1])
	if hi > 7 || lo > 15 {
		return 0, 0
	}
	return hi<<4 | lo, at + 2 - i
}

// looseEscapeAt reads what escapeAt leaves out: \u{N} and the octal escapes of
// old scripts, again if they stand for ASCII.
func looseEscapeAt(code []byte, i int) (b byte, n int) {
	if i+2 > len(code) || code[i] != '\\' {
		return 0, 0
	}
	if code[i+1] == 'u' && i+2 < len(code) && code[i+2] == '{' {
		v, j := 0, i+3
		for ; j < len(code) && v < 0x80 && hexDigit(code[j]) < 16; j++ {
			v = v<<4 | int(hexDigit(code[j]))
		}
		if j > i+3 && j < len(code) && code[j] == '}' && v < 0x80 {
			return byte(v), j + 1 - i
		}
		return 0, 0
	}
	v, j := 0, i+1
	for ; j < len(code) && j < i+4 && code[j]-'0' < 8 && v < 0x10; j++ {
		v = v<<3 | int(code[j]-'0')
	}
	if j > i+1 && v < 0x80 {
		return byte(v), j - i
	}
	return 0, 0
}

func hexDigit(b byte) byte {
	switch {
	case b-'0' < 10:
		return b - '0'
	case b|foldBit-'a' < 6 && b >= 'A':
		return b | foldBit - 'a' + 10
	}
	return 255
}

// hidden reads an escape that may hide a signature from the scan, which looks for
// plain names: any escape of a letter, a digit or one of _$.-, and every loose
// escape of a byte that signatures have. The common \u002F, \u003c or \u0022 are
// not hidden: comparing a signature understands them.
func hidden(code []byte, i int) (b byte, n int) {
	if b, n = escapeAt(code, i); n > 0 {
		if isPlain(b) {
			return b, n
		}
		return 0, 0
	}
	if b, n = looseEscapeAt(code, i); n > 0 && b > ' ' && b != '\\' {
		return b, n
	}
	return 0, 0
}

// firstHidden returns the place of the first hidden escape, or -1.
func firstHidden(code []byte) int {
	for i := 0; ; {
		k := bytes.IndexByte(code[i:], '\\')
		if k < 0 || i+k+1 >= len(code) {
			return -1
		}
		i += k
		if c := code[i+1]; c == 'u' || c == 'x' || c-'0' < 8 {
			if _, n := hidden(code, i); n > 0 {
				return i
			}
		}
		i += 2
	}
}

// reveal appends to out a copy of code in which hidden escapes are written plainly.
// The copy has the same tokens: a plain name stays a name, and marks that could end a
// literal keep a backslash.
func reveal(out, code []byte) []byte {
	for i := 0; i < len(code); {
		k := bytes.IndexByte(code[i:], '\\')
		if k < 0 || i+k+1 >= len(code) {
			return append(out, code[i:]...)
		}
		out = append(out, code[i:i+k]...)
		i += k
		b, n := hidden(code, i)
		switch {
		case n == 0:
			out = append(out, code[i], code[i+1])
			i += 2
			continue
		case !isPlain(b):
			out = append(out, '\\')
		}
		out = append(out, b)
		i += n
	}
	return out
}
