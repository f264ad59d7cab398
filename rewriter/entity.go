package rewriter

import (
	"bytes"
	"html"
)

// decodeAttr appends to dst the attribute value raw with its character
// references decoded (HTML standard, section 13.2.5.72 and following). If pos is
// not nil, the offset in raw of each decoded byte is appended to it, and one
// more for the end.
func decodeAttr(dst, raw []byte, pos *[]int) []byte {
	for i := 0; i < len(raw); {
		n := 1
		if raw[i] == '&' {
			if text, used := reference(raw[i:]); used > 0 {
				dst = append(dst, text...)
				if pos != nil {
					for range len(text) {
						*pos = append(*pos, i)
					}
				}
				i += used
				continue
			}
		} else if j := bytes.IndexByte(raw[i:], '&'); j > 0 {
			n = j
		} else {
			n = len(raw) - i
		}
		dst = append(dst, raw[i:i+n]...)
		if pos != nil {
			for k := range n {
				*pos = append(*pos, i+k)
			}
		}
		i += n
	}
	if pos != nil {
		*pos = append(*pos, len(raw))
	}
	return dst
}

// common are the references that nearly every page uses.
var common = [...]struct{ name, text string }{
	{"&amp;", "&"}, {"&quot;", `"`}, {"&#39;", "'"}, {"&#039;", "'"}, {"&lt;", "<"}, {"&gt;", ">"},
}

const maxReference = 40 // bytes of the longest named reference, with room

// reference decodes the character reference at the start of s; used is 0 if it
// is none. In an attribute a name without ';' only counts if no letter, digit or
// '=' follows, so that "?a=1&copy=2" keeps its parameter.
func reference(s []byte) (text string, used int) {
	if len(s) < 2 {
		return "", 0
	}
	for _, c := range common {
		if len(s) >= len(c.name) && string(s[:len(c.name)]) == c.name {
			return c.text, len(c.name)
		}
	}
	n := 1
	if s[1] == '#' {
		n = 2
		hex := len(s) > 2 && (s[2] == 'x' || s[2] == 'X')
		if hex {
			n = 3
		}
		first := n
		for n < len(s) && isDigit(s[n], hex) {
			n++
		}
		if n == first {
			return "", 0
		}
		// Leading zeros do not count, so the digits have no fixed length.
		for first < n-1 && s[first] == '0' {
			first++
		}
		end := n
		if n < len(s) && s[n] == ';' {
			n++
		}
		if end-first > 7 {
			return "\uFFFD", n
		}
		if v := number(s[first:end], hex); ' ' <= v && v <= '~' {
			return ascii[v : v+1], n
		}
		prefix := "&#"
		if hex {
			prefix = "&#x"
		}
		return html.UnescapeString(prefix + string(s[first:end]) + ";"), n
	}
	for n < len(s) && n < maxReference && isAlnum(s[n]) {
		n++
	}
	if n < len(s) && s[n] == ';' {
		name := string(s[:n+1])
		text = html.UnescapeString(name)
		if text == name || text[len(text)-1] == ';' && name != "&semi;" {
			return "", 0 // unknown, or only a prefix is known
		}
		return text, n + 1
	}
	if n < len(s) && s[n] == '=' {
		return "", 0
	}
	name := string(s[:n])
	text = html.UnescapeString(name)
	// A known prefix followed by further letters is no reference here.
	if text == name || !wholeName(name, text) {
		return "", 0
	}
	return text, n
}

// ascii holds each printable ASCII character at its own offset.
var ascii = func() string {
	b := make([]byte, 0x7f)
	for i := range b {
		b[i] = byte(i)
	}
	return string(b)
}()

// number returns the value of at most seven digits.
func number(digits []byte, hex bool) (v int) {
	base := 10
	if hex {
		base = 16
	}
	for _, c := range digits {
		v = v*base + int(hexValue(c))
	}
	return v
}

// wholeName reports whether the reference name, without ';', was decoded as a
// whole: with a ';' behind it, it must mean the same and leave nothing over.
func wholeName(name, text string) bool { return html.UnescapeString(name+";") == text }

func isDigit(c byte, hex bool) bool {
	if '0' <= c && c <= '9' {
		return true
	}
	c |= 0x20
	return hex && 'a' <= c && c <= 'f'
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}
