package policy

import (
	"unicode"
	"unicode/utf8"
)

// spaceAt returns the length of the white space character or line terminator
// (ECMA-262 sections 12.2 and 12.3) at src[i:], or zero.
func spaceAt(src []byte, i int) int {
	switch {
	case i >= len(src):
		return 0
	case src[i] < utf8.RuneSelf:
		return asciiSpace(src[i])
	}
	r, n := utf8.DecodeRune(src[i:])
	return spaceLen(src[i], r, n)
}

// spaceBefore is spaceAt for the character that ends at src[:i].
func spaceBefore(src []byte, i int) int {
	switch {
	case i <= 0:
		return 0
	case src[i-1] < utf8.RuneSelf:
		return asciiSpace(src[i-1])
	}
	r, n := utf8.DecodeLastRune(src[:i])
	return spaceLen(src[i-1], r, n)
}

func asciiSpace(b byte) int {
	if b == ' ' || b-'\t' < 5 {
		return 1
	}
	return 0
}

// spaceLen returns n if r is white space. A byte that is no UTF-8 is judged as
// windows-1252: A0 is its no-break space.
func spaceLen(b byte, r rune, n int) int {
	switch {
	case r == utf8.RuneError && n == 1 && b == 0xA0:
		return 1
	case r == '\uFEFF', unicode.IsSpace(r) && r != '\u0085':
		return n
	}
	return 0
}

// skipSpace returns the first place at or behind i that is not white space.
func skipSpace(src []byte, i int) int {
	for n := spaceAt(src, i); n > 0; n = spaceAt(src, i) {
		i += n
	}
	return i
}

// nextByte returns the first byte behind white space at src[i:], or zero.
func nextByte(src []byte, i int) byte {
	if i = skipSpace(src, i); i < len(src) {
		return src[i]
	}
	return 0
}
