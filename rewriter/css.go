package rewriter

import (
	"bytes"

	"github.com/consentgate/consentgate/rewriter/internal/scan"
)

// cssPrefix goes in front of a blocked URL in a style sheet. It turns the URL
// into the fragment of an empty style sheet that is part of the page itself: a
// valid value everywhere, fetched from nowhere, and undone by cutting it out.
const cssPrefix = "data:text/css,cg#"

// A cssHit is a URL found in a style sheet: the span between its quotes or
// parentheses.
type cssHit struct{ start, end int }

// cssScanner finds the URLs a style sheet would load: url(), src(), the strings
// of image-set() and @import (CSS Syntax Level 3, section 4; CSS Values 4,
// section 4.5). It is fed contiguous text and stops in front of a token that is
// not complete.
type cssScanner struct {
	depth   int
	funcs   uint64 // bit i: the function at depth i takes URLs as strings
	imp     bool   // behind @import
	escaped bool   // an identifier with an escape was seen: it may spell anything
	within  byte   // inside a string, URL or comment that is decided: its end byte
}

// cssPlain marks the bytes outside strings that change nothing.
var cssPlain = func() (t [256]bool) {
	for c := range t {
		t[c] = true
	}
	for _, c := range "\"'()/\\@;{}" {
		t[c] = false
	}
	return t
}()

// maxCSSName is more than the bytes of the longest name that matters.
const maxCSSName = 32

// scan reads b[i:] and appends the URLs found to hits. It returns how far it
// got: len(b) if final, else possibly less, the start of an open token. An open
// token longer than limit is reported as it stands and its rest passed over.
func (s *cssScanner) scan(b []byte, i int, final bool, limit int, hits []cssHit) (int, []cssHit) {
	from := i
	var ok bool
	for i < len(b) {
		if s.within != 0 {
			if i, ok = s.skip(b, i, final); !ok {
				return i, hits
			}
			from = i
			continue
		}
		for i+4 <= len(b) && cssPlain[b[i]] && cssPlain[b[i+1]] && cssPlain[b[i+2]] && cssPlain[b[i+3]] {
			i += 4
		}
		for i < len(b) && cssPlain[b[i]] {
			i++
		}
		if i == len(b) {
			break
		}
		switch c := b[i]; {
		case c == '/':
			if i+3 > len(b) && !final {
				return i, hits
			}
			i++
			if i < len(b) && b[i] == '*' {
				s.within = '*'
				if i++; i < len(b) && b[i] == '/' {
					i++ // "/*/" does not end the comment it begins
				}
			}
		case c == '"' || c == '\'':
			if i, hits, ok = s.str(b, i, final, limit, hits); !ok {
				return i, hits
			}
			from = i
		case c == '(':
			if i, hits, ok = s.open(b, from, i, final, limit, hits); !ok {
				return i, hits
			}
			from = i
		case c == '\\':
			if i+1 == len(b) && !final {
				return trailingName(b, from), hits
			}
			s.escaped = true
			i += 2
		case c == '@':
			const word = "@import"
			if len(b)-i < len(word) && !final {
				return i, hits
			}
			s.imp = s.imp || scan.HasPrefixFold(b[i:], word)
			i++
		default:
			s.other(c)
			i++
		}
	}
	if final {
		return len(b), hits
	}
	return trailingName(b, from), hits
}

// trailingName returns where the identifier begins in which b ends, since a '('
// may follow.
func trailingName(b []byte, from int) int {
	i := len(b)
	for i > from && len(b)-i < maxCSSName && (isNameByte(b[i-1]) || b[i-1] == '\\') {
		i--
	}
	return i
}

// skip passes over the rest of a token that is decided.
func (s *cssScanner) skip(b []byte, i int, final bool) (int, bool) {
	j := skipTo(b, i, s.within)
	if j >= 0 {
		s.within = 0
		return j + 1, true
	}
	if n := len(b); !final && (b[n-1] == '\\' || b[n-1] == '*') {
		return n - 1, false // it may belong to what follows
	}
	return len(b), false
}

// other follows a byte that ends something.
func (s *cssScanner) other(c byte) {
	switch c {
	case ')':
		s.depth = max(0, s.depth-1)
	case ';':
		s.imp, s.escaped = false, false
	case '{', '}':
		s.imp, s.escaped = false, false
		s.depth, s.funcs = 0, 0
	}
}

// takesURL reports whether the function whose '(' stands at b[i] takes URLs.
func (s *cssScanner) takesURL(b []byte, from, i int) bool {
	if s.escaped {
		return true
	}
	j := i
	for j > from && i-j < maxCSSName && isNameByte(b[j-1]) {
		j--
	}
	switch name := b[j:i]; len(name) {
	case 3:
		return scan.EqualFold(name, "url") || scan.EqualFold(name, "src")
	case 5:
		return scan.EqualFold(name, "image")
	case 9:
		return scan.EqualFold(name, "image-set")
	case 10:
		return scan.EqualFold(name, "cross-fade")
	case 17:
		return scan.EqualFold(name, "-webkit-image-set")
	case 18:
		return scan.EqualFold(name, "-webkit-cross-fade")
	}
	return false
}

// open follows a '('. Behind url( an unquoted URL may stand.
func (s *cssScanner) open(b []byte, from, i int, final bool, limit int, hits []cssHit) (int, []cssHit, bool) {
	takes := s.takesURL(b, from, i)
	j := i + 1
	if takes {
		for j < len(b) && isCSSSpace(b[j]) {
			j++
		}
		if j == len(b) && !final {
			return trailingName(b[:i], from), hits, false
		}
		if j < len(b) && b[j] != '"' && b[j] != '\'' && !startsFunc(b[j:]) {
			end := skipTo(b, j, ')')
			if end < 0 && !final && len(b)-j <= limit {
				return trailingName(b[:i], from), hits, false
			}
			stop := end
			if end < 0 {
				stop = len(b)
			}
			last := stop
			for last > j && isCSSSpace(b[last-1]) {
				last--
			}
			hits = append(hits, cssHit{j, last})
			s.imp = false
			if end < 0 {
				s.within = ')'
				return len(b), hits, true
			}
			return end + 1, hits, true
		}
	}
	s.escaped = false
	if s.depth < 63 {
		s.depth++
		s.funcs &^= 1 << s.depth
		if takes {
			s.funcs |= 1 << s.depth
		}
	}
	return j, hits, true
}

// startsFunc reports whether s, the first argument of an image function, is a
// function or an identifier of its own and not an unquoted URL, as in
// image-set(url(x) 1x) or image(ltr "x").
func startsFunc(s []byte) bool {
	n := 0
	for n < len(s) && (isNameByte(s[n]) && s[n] < 0x80) {
		n++
	}
	return n > 0 && n < len(s) && (s[n] == '(' || isCSSSpace(s[n]) && !scanURLFirst(s[:n]))
}

// scanURLFirst reports whether an argument that a space follows can be an
// unquoted URL: "url( a.png )".
func scanURLFirst(name []byte) bool { return bytes.IndexByte(name, '.') >= 0 }

// str follows a string.
func (s *cssScanner) str(b []byte, i int, final bool, limit int, hits []cssHit) (int, []cssHit, bool) {
	q := b[i]
	end := skipTo(b, i+1, q)
	isURL := s.imp || s.depth > 0 && s.funcs&(1<<s.depth) != 0
	if end < 0 {
		if !final && len(b)-i <= limit {
			return i, hits, false
		}
		if isURL {
			hits = append(hits, cssHit{i + 1, len(b)})
		}
		if !final {
			s.within = q
		}
		return len(b), hits, true
	}
	if isURL {
		hits = append(hits, cssHit{i + 1, end})
	}
	s.imp = false
	return end + 1, hits, true
}

// skipTo returns the offset of the first end byte in b[i:] that no backslash
// escapes, -1 if there is none. A bare line break also ends a string. For a
// comment, end is '*'.
func skipTo(b []byte, i int, end byte) int {
	for ; i < len(b); i++ {
		switch c := b[i]; {
		case end == '*':
			if c == '*' && i+1 < len(b) && b[i+1] == '/' {
				return i + 1
			}
		case c == end:
			return i
		case c == '\\':
			i++
		case (c == '\n' || c == '\f' || c == '\r') && end != ')':
			return i
		}
	}
	return -1
}

func isCSSSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' }

func isNameByte(c byte) bool {
	return isAlnum(c) || c == '-' || c == '_' || c >= 0x80
}

// cssEscape decodes the escape at the start of s, which begins with a backslash.
func cssEscape(s []byte) (r rune, used int) {
	n := 1
	for n < len(s) && n < 7 && isDigit(s[n], true) {
		d := rune(s[n])
		switch {
		case d >= 'a':
			d -= 'a' - 10
		case d >= 'A':
			d -= 'A' - 10
		default:
			d -= '0'
		}
		r = r<<4 | d
		n++
	}
	if n == 1 {
		if len(s) < 2 {
			return '\\', 1
		}
		return rune(s[1]), 2
	}
	if n < len(s) && isCSSSpace(s[n]) {
		n++
		if s[n-1] == '\r' && n < len(s) && s[n] == '\n' {
			n++
		}
	}
	return r, n
}

// decodeCSS appends the text of a string or URL token to dst.
func decodeCSS(dst, s []byte) []byte {
	for i := 0; i < len(s); {
		if s[i] != '\\' {
			dst = append(dst, s[i])
			i++
			continue
		}
		if i+1 < len(s) && (s[i+1] == '\n' || s[i+1] == '\f' || s[i+1] == '\r') {
			i += 2 // a line continuation
			continue
		}
		r, used := cssEscape(s[i:])
		dst = append(dst, string(r)...)
		i += used
	}
	return dst
}
