package rewriter

// Tokens of style sheets: strings, escapes, characters of two bytes (CSS Syntax
// Level 3, section 4.3).

// trimCSS returns the end of b[i:end] without white space.
func trimCSS(b []byte, i, end int) int {
	for end > i && isCSSSpace(b[end-1]) {
		end--
	}
	return end
}

// str follows a string.
func (s *cssScanner) str(b []byte, i int, final bool, limit int, hits []cssHit) (int, []cssHit, bool) {
	s.mid = true
	q := b[i]
	end, next := s.find(b, i+max(1, s.read), q, final)
	open := end < 0
	if open {
		if !final && len(b)-i <= limit {
			s.read = next - i
			return i, hits, false
		}
		end = next
	}
	s.read = 0
	if s.imp || s.takes() || s.custom && (open && !final || end-i > limit || s.urlLike(b[i+1:end])) {
		hits = append(hits, cssHit{i + 1, end, open && !final})
	}
	s.imp = false
	if open {
		s.within = q
		return next, hits, true
	}
	return end + 1, hits, true
}

// urlLike reports whether a string has "//" or "http:" or "https:" in it, the
// way a URL parser would read it.
func (s *cssScanner) urlLike(text []byte) bool {
	slash, k := false, 0
	for i := 0; i < len(text); {
		r, size := rune(text[i]), 1
		switch {
		case r == '\\':
			size = s.escape(text[i:], true)
			if r, _ = cssEscape(text[i : i+size]); size > 1 && isCSSBreak(text[i+1]) {
				r = '\n'
			}
		case s.lead(text[i]):
			size = pair(text[i:], true)
		}
		i += size
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			continue
		case r == '/' || r == '\\':
			if slash {
				return true
			}
			slash, k = true, 0
			continue
		case r == ':' && k >= 4:
			return true
		case k < 5 && r|0x20 == rune("https"[k]):
			k++
		case r|0x20 == 'h':
			k = 1
		default:
			k = 0
		}
		slash = false
	}
	return false
}

// find returns the offset of the first end byte in b[i:] that no backslash
// escapes. A bare line break also ends a string. If there is none, the offset is
// -1 and the search goes on at next: the end of b or the start of an escape that
// may go on.
func (s *cssScanner) find(b []byte, i int, end byte, final bool) (at, next int) {
	stop := uint8(cssText)
	if s.doubleByte {
		stop = cssTextPairs
	}
	for ; i < len(b); i++ {
		c := b[i]
		if c == end {
			return i, i
		}
		if cssClass[c]&stop == 0 {
			continue
		}
		n := 1
		switch {
		case c == '\\':
			n = s.escape(b[i:], final)
		case isCSSBreak(c):
			if end != ')' {
				return i, i
			}
		case s.lead(c):
			n = pair(b[i:], final)
		}
		if n == 0 {
			return -1, i
		}
		i += n - 1
	}
	return -1, len(b)
}

// lead reports whether c begins a character of two bytes.
func (s *cssScanner) lead(c byte) bool {
	return s.doubleByte && c >= 0x81 && !(s.shiftJIS && c >= 0xa0 && c <= 0xdf)
}

// pair returns how many bytes the character has whose first of two is t[0]; 0 if
// that is not known yet. What cannot be a second byte stands for itself.
func pair(t []byte, final bool) int {
	switch {
	case len(t) == 1 && !final:
		return 0
	case len(t) > 1 && t[1] >= 0x40:
		return 2
	}
	return 1
}

// escape returns the length of the escape or line continuation at the start of
// t, 0 if it may go on behind t.
func (s *cssScanner) escape(t []byte, final bool) int {
	if len(t) == 1 {
		if final {
			return 1
		}
		return 0
	}
	n := 1
	switch c := t[1]; {
	case c == '\r': // one line break with the '\n' behind it
	case !isDigit(c, true):
		if s.lead(c) {
			if n = pair(t[1:], final); n == 0 {
				return 0
			}
			return 1 + n
		}
		return 2
	default:
		for n < len(t) && n < 7 && isDigit(t[n], true) {
			n++
		}
		if n == len(t) {
			if final {
				return n
			}
			return 0
		}
		if !isCSSSpace(t[n]) {
			return n
		}
	}
	if t[n] == '\r' {
		if n+1 == len(t) && !final {
			return 0
		}
		if n+1 < len(t) && t[n+1] == '\n' {
			n++
		}
	}
	return n + 1
}

func isCSSSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' }

func isCSSBreak(c byte) bool { return c == '\n' || c == '\r' || c == '\f' }

// cssEscape returns the character that the escape t spells: a backslash and what
// belongs to it. One behind which a byte that is not ASCII stands spells that
// byte.
func cssEscape(t []byte) (r rune, hex bool) {
	if len(t) < 2 {
		return 0xfffd, false
	}
	n := 1
	for n < len(t) && n < 7 && isDigit(t[n], true) {
		r = r<<4 | rune(hexValue(t[n]))
		n++
	}
	switch {
	case n == 1:
		return rune(t[1]), false
	case r == 0 || r > 0x10ffff:
		r = 0xfffd
	}
	return r, true
}

// decode appends the text of a string or URL token to dst.
func (s *cssScanner) decode(dst, t []byte) []byte {
	for i := 0; i < len(t); {
		n := 1
		if t[i] != '\\' {
			if s.lead(t[i]) {
				n = pair(t[i:], true)
			}
			dst = append(dst, t[i:i+n]...)
			i += n
			continue
		}
		n = s.escape(t[i:], true)
		r, hex := cssEscape(t[i : i+n])
		switch {
		case n == 1:
			dst = append(dst, '\\')
		case hex:
			dst = append(dst, string(r)...)
		case !isCSSBreak(t[i+1]): // a line continuation is nothing
			dst = append(dst, t[i+1:i+n]...)
		}
		i += n
	}
	return dst
}
