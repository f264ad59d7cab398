package rewriter

import "github.com/consentgate/consentgate/rewriter/internal/scan"

// cssPrefix goes in front of a blocked URL in a style sheet or an import map. It turns the URL
// into the fragment of an empty style sheet that is part of the page itself: a
// valid value everywhere, fetched from nowhere, no module, and undone by cutting
// it out.
const cssPrefix = "data:text/css,cg#"

// A cssHit is a URL found in a style sheet: the span between its quotes or
// parentheses. It is cut if the token is longer than the scanner may hold, and
// goes on behind the span.
type cssHit struct {
	start, end int
	cut        bool
}

// cssScanner finds the URLs a style sheet would load: url(), src(), the strings
// of image-set() and @import (CSS Syntax Level 3, section 4; CSS Values 4,
// section 4.5), and strings that look like URLs where var() or a custom function
// can take them to such a place. It is fed contiguous text and stops in front of
// a token that is not complete. The zero value is ready for a style sheet or a
// style attribute in an encoding that extends ASCII byte by byte.
type cssScanner struct {
	doubleByte bool // a byte from 0x81 may begin a character whose second byte looks like ASCII
	shiftJIS   bool // with doubleByte: the bytes from 0xA0 to 0xDF are characters of their own

	depth  int    // of open parentheses
	funcs  uint64 // bit i: the function at depth i takes URLs as strings
	imp    bool   // behind @import
	mid    bool   // inside a statement: its first byte has been seen
	within byte   // inside a token that is decided or long: see the constants
	read   int    // of an open token: bytes searched for its end
	work   int    // bytes looked at, for the tests of linearity

	custom  bool // where strings can be URLs elsewhere: in a custom property or custom function
	block   bool // custom ends with its block
	cdepth  int  // depth where custom began
	cbraces int  // braces open since
}

// Values of within, besides the quote or parenthesis that ends the token.
const (
	inComment = '*'
	inURL     = ' ' // behind "url(" and white space
	inName    = 'n' // in a name that is too long to matter
)

// maxFuncs is the depth from which on every string counts as a URL.
const maxFuncs = 64

const (
	maxCSSName = 32  // more than the bytes of the longest name that matters
	maxRawName = 192 // the same if all of it is escaped: nine bytes for each
)

// Bytes by what they are to the scanner.
const (
	cssStop      = 1 << iota // outside strings, changes something
	cssStopPairs             // the same if there are double bytes
	cssText                  // inside a string, may end it or escape something
	cssTextPairs             // the same if there are double bytes
	cssName                  // part of a name
	cssURL                   // stands in every style sheet that has a URL
	cssRare                  // what changes something where declarations are ordinary
)

var cssClass = func() (t [256]uint8) {
	for c := range t {
		if c == 0 || isAlnum(byte(c)) || c == '-' || c == '_' || c >= 0x80 {
			t[c] |= cssName // a NUL stands for U+FFFD
		}
		if c >= 0x81 {
			t[c] |= cssStopPairs | cssTextPairs
		}
	}
	for _, c := range "\"'()/\\@;{}<" {
		t[c] |= cssStop | cssStopPairs
	}
	for _, c := range "\"'\\\n\r\f" {
		t[c] |= cssText | cssTextPairs
	}
	for _, c := range "\"'(\\@" {
		t[c] |= cssURL | cssRare
	}
	t['/'] |= cssRare
	t['<'] |= cssRare
	return t
}()

// doubleByteCharset reports whether in the encoding of this name the second byte
// of a character may be a backslash.
func doubleByteCharset(label string) bool {
	switch len(label) {
	case 3:
		return scan.EqualFold([]byte(label), "gbk")
	case 4:
		return scan.EqualFold([]byte(label), "big5")
	case 7:
		return scan.EqualFold([]byte(label), "gb18030")
	case 9:
		return scan.EqualFold([]byte(label), "shift_jis")
	}
	return false
}

// scan reads b[i:] and appends the URLs found to hits. It returns how far it
// got: len(b) if final, else possibly less, the start of an open token. An open
// token longer than limit is reported as it stands and its rest passed over.
func (s *cssScanner) scan(b []byte, i int, final bool, limit int, hits []cssHit) (int, []cssHit) {
	s.work += len(b) - i - s.read
	from := i // names begin here at the earliest
	var ok bool
	stop := uint8(cssStop)
	if s.doubleByte {
		stop = cssStopPairs
	}
	for i < len(b) {
		if s.within != 0 {
			if i, hits, ok = s.rest(b, i, final, limit, hits); !ok {
				return i, hits
			}
			from = i
			continue
		}
		if s.ordinary() {
			if i, ok = s.skip(b, i, from, final); !ok {
				return i, hits
			}
		}
		if !s.mid {
			if i, ok = s.begin(b, i, final); !ok {
				return i, hits
			}
		}
		for i < len(b) && cssClass[b[i]]&stop == 0 {
			i++
		}
		if i == len(b) {
			break
		}
		switch c := b[i]; c {
		case ';', '{', '}':
			i++
			s.other(c)
		case ')':
			i++
			s.depth = max(0, s.depth-1)
		case '/':
			if i+1 == len(b) && !final {
				return i, hits
			}
			i++
			if i < len(b) && b[i] == '*' {
				s.within = inComment
				i++
			} else {
				s.mid = true
			}
		case '"', '\'':
			if i, hits, ok = s.str(b, i, final, limit, hits); !ok {
				return i, hits
			}
			from = i
		case '(':
			j := nameStart(b, from, i)
			if j > from && b[j-1] == '#' {
				s.open(nil) // behind a hash
			} else {
				s.open(b[j:i])
			}
			i++
			from = i
		case '@':
			if i, ok = s.at(b, i, final); !ok {
				return i, hits
			}
			from = i
		case '<':
			const cdo = "<!--"
			n := 1
			for n < len(cdo) && i+n < len(b) && b[i+n] == cdo[n] {
				n++
			}
			if i+n == len(b) && n < len(cdo) && !final {
				return i, hits
			}
			if n < len(cdo) {
				n = 1
			}
			i += n
			from = i
		default: // a backslash or the first of two bytes
			if i, ok = s.slowName(b, from, i, final); !ok {
				return i, hits
			}
			from = i
		}
	}
	if final {
		return len(b), hits
	}
	return held(b, from), hits
}

// held returns from where on b must be kept: its end may be a part of a name.
func held(b []byte, from int) int {
	i := nameStart(b, from, len(b))
	if i > from && b[i-1] == '#' {
		i--
	}
	return i
}

// nameStart returns where the name begins that ends in front of b[i], or some
// place inside it if it is too long to matter.
func nameStart(b []byte, from, i int) int {
	end := i
	for i > from && end-i < maxCSSName && cssClass[b[i-1]]&cssName != 0 {
		i--
	}
	return i
}

// begin looks at the first bytes of a statement: is it a custom property?
func (s *cssScanner) begin(b []byte, i int, final bool) (int, bool) {
	for i < len(b) && isCSSSpace(b[i]) {
		i++
	}
	if i == len(b) || b[i] == '/' {
		return i, true
	}
	switch b[i] {
	case '-':
		if i+1 == len(b) {
			return i, final
		}
		s.custom = b[i+1] == '-' || b[i+1] == '\\'
	case '\\':
		s.custom = true // its name may spell anything
	}
	s.mid, s.block, s.cdepth, s.cbraces = true, false, s.depth, 0
	return i, true
}

// other follows a byte that ends something.
func (s *cssScanner) other(c byte) {
	s.imp = false
	if s.custom {
		switch {
		case c == '{':
			s.cbraces++
		case s.cbraces == 0:
			s.custom = s.depth > s.cdepth
		case c == '}':
			s.cbraces--
			s.custom = s.cbraces > 0 || !s.block
		}
	}
	s.mid = s.custom
}

// at follows an at-keyword.
func (s *cssScanner) at(b []byte, i int, final bool) (int, bool) {
	s.mid = true
	var buf [maxCSSName]byte
	end, n, done := s.name(b, i+1, final, &buf, 0)
	if !done {
		if len(b)-i <= maxRawName {
			return i, false
		}
		s.within = inName
		return end, true
	}
	switch name := buf[:n]; n {
	case 5:
		s.enter(scan.EqualFold(name, "mixin") || scan.EqualFold(name, "apply"))
	case 6:
		s.imp = s.imp || scan.EqualFold(name, "import")
	case 8:
		s.enter(scan.EqualFold(name, "function") || scan.EqualFold(name, "property"))
	}
	return end, true
}

// enter begins the part of a style sheet that a custom function takes, if yes.
func (s *cssScanner) enter(yes bool) {
	if yes && !s.custom {
		s.custom, s.block, s.cdepth, s.cbraces = true, true, s.depth, 0
	}
}

// slowName follows a name with an escape or a double byte at b[i].
func (s *cssScanner) slowName(b []byte, from, i int, final bool) (int, bool) {
	start := nameStart(b, from, i)
	hold := start
	if start > from && b[start-1] == '#' {
		hold--
	}
	if b[i] == '\\' {
		if i+1 == len(b) && !final {
			return hold, false
		}
		if i+1 < len(b) && isCSSBreak(b[i+1]) {
			return i + 1, true
		}
	}
	var buf [maxCSSName]byte
	n := copy(buf[:], b[start:i])
	end, n, done := s.name(b, i, final, &buf, n)
	if !done {
		if len(b)-hold <= maxRawName+maxCSSName {
			return hold, false
		}
		s.within = inName
		return end, true
	}
	if end < len(b) && b[end] == '(' {
		if hold < start {
			n = 0
		}
		s.open(buf[:n])
		end++
	}
	return end, true
}

// name reads the name, or the rest of one, at b[i:] and puts what it spells
// behind buf[:n]. Of a name that does not fit, the end is left out. It is not
// done if the name may go on behind b.
func (s *cssScanner) name(b []byte, i int, final bool, buf *[maxCSSName]byte, n int) (end, used int, done bool) {
	for i < len(b) {
		c, size := b[i], 1
		switch {
		case c == '\\':
			if i+1 < len(b) && isCSSBreak(b[i+1]) {
				return i, n, true
			}
			if size = s.escape(b[i:], final); size == 0 {
				return i, n, false
			}
			r, _ := cssEscape(b[i : i+size])
			if c = 0xff; r < 0x80 {
				c = byte(r)
			}
		case cssClass[c]&cssName == 0:
			return i, n, true
		case s.lead(c):
			if size = pair(b[i:], final); size == 0 {
				return i, n, false
			}
		}
		if n < len(buf) {
			buf[n] = c
			n++
		}
		i += size
	}
	return i, n, final
}

// open follows the '(' behind a name.
func (s *cssScanner) open(name []byte) {
	s.mid = true
	takes, never := false, false
	switch len(name) {
	case 3:
		if scan.EqualFold(name, "url") {
			s.within = inURL
			return
		}
		takes = scan.EqualFold(name, "src")
	case 4:
		never = scan.EqualFold(name, "type")
	case 5:
		takes = scan.EqualFold(name, "image")
	case 9:
		takes = scan.EqualFold(name, "image-set")
	case 10:
		takes = scan.EqualFold(name, "cross-fade")
	case 17:
		takes = scan.EqualFold(name, "-webkit-image-set")
	case 18:
		takes = scan.EqualFold(name, "-webkit-cross-fade")
	}
	s.push(takes || !never && s.takes())
}

// push enters a function. One inside a function that takes URLs may be var() or
// another that leaves its argument in its place.
func (s *cssScanner) push(takes bool) {
	if s.depth++; s.depth < maxFuncs {
		s.funcs &^= 1 << s.depth
		if takes {
			s.funcs |= 1 << s.depth
		}
	}
}

// takes reports whether a string is a URL here.
func (s *cssScanner) takes() bool {
	return s.depth >= maxFuncs || s.depth > 0 && s.funcs&(1<<s.depth) != 0
}

// rest follows the token that within says. It is not ok if b ends first.
func (s *cssScanner) rest(b []byte, i int, final bool, limit int, hits []cssHit) (int, []cssHit, bool) {
	switch s.within {
	case inURL:
		return s.url(b, i, final, limit, hits)
	case inName:
		var buf [maxCSSName]byte
		end, _, done := s.name(b, i, final, &buf, 0)
		if done {
			s.within = 0
		}
		return end, hits, done
	case inComment:
		for ; i < len(b); i++ {
			if b[i] == '*' {
				if i+1 == len(b) && !final {
					return i, hits, false
				}
				if i+1 < len(b) && b[i+1] == '/' {
					s.within = 0
					return i + 2, hits, true
				}
			}
		}
		return len(b), hits, false
	}
	end, next := s.find(b, i, s.within, final)
	if end < 0 {
		return next, hits, false
	}
	s.within = 0
	return end + 1, hits, true
}

// url follows what stands behind "url(".
func (s *cssScanner) url(b []byte, i int, final bool, limit int, hits []cssHit) (int, []cssHit, bool) {
	for i < len(b) && isCSSSpace(b[i]) {
		i++
	}
	if i == len(b) {
		return i, hits, false
	}
	if b[i] == '"' || b[i] == '\'' {
		s.within = 0
		s.push(true)
		return i, hits, true
	}
	end, next := s.find(b, i+s.read, ')', final)
	if end < 0 {
		if !final && len(b)-i <= limit {
			s.read = next - i
			return i, hits, false
		}
		s.read = 0
		s.within = ')'
		s.imp = false
		return next, append(hits, cssHit{i, trimCSS(b, i, next), !final}), true
	}
	s.within, s.read = 0, 0
	s.imp = false
	return end + 1, append(hits, cssHit{i, trimCSS(b, i, end), false}), true
}
