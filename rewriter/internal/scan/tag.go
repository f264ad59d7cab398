package scan

import "bytes"

// The states in which the walk through a tag can stop at the end of a piece of
// input (HTML standard, sections 13.2.5.8 and 13.2.5.32 to 13.2.5.40). The zero
// state is the tag name's.
type tagState uint8

const (
	inName tagState = iota
	beforeAttr
	inAttrName
	afterAttrName
	beforeValue
	inDouble
	inSingle
	inUnquoted
)

// Flags that a walk sets when it meets the first letters of attribute names
// that can load something on any element.
const (
	flagStyle  uint8 = 1 << iota // style, src…
	flagOn                       // event handlers
	flagOther                    // background, ping
	flagFollow                   // href, action, formaction
)

// attrFlag maps the first letter of an attribute name to its flag.
var attrFlag = func() (t [256]uint8) {
	t['s'], t['S'] = flagStyle, flagStyle
	t['o'], t['O'] = flagOn, flagOn
	t['b'], t['B'] = flagOther, flagOther
	t['p'], t['P'] = flagOther, flagOther
	for _, c := range "hHaAfFxX" {
		t[c] = flagFollow
	}
	return t
}()

// walkTag goes on from b[i] in state st until the '>' that ends the tag. It
// returns the position behind the '>' and true, or len(b), the state to go on
// with, and false. flags collects what attribute names begin with.
func walkTag(b []byte, i int, st tagState, flags *uint8) (int, tagState, bool) {
	for i < len(b) {
		c := b[i]
		switch st {
		case inName:
			for class[c]&endsTagName == 0 {
				if i++; i == len(b) {
					return i, inName, false
				}
				c = b[i]
			}
			if c == '>' {
				return i + 1, inName, true
			}
			st = beforeAttr
			i++
		case beforeAttr:
			switch {
			case c == '>':
				return i + 1, st, true
			case c == '/' || IsSpace(c):
				i++
			default:
				// Even '=' begins a name here.
				*flags |= attrFlag[c]
				st = inAttrName
				i++
			}
		case inAttrName:
			for class[c]&endsAttrName == 0 {
				if i++; i == len(b) {
					return i, inAttrName, false
				}
				c = b[i]
			}
			switch c {
			case '=':
				st = beforeValue
			case '>':
				return i + 1, st, true
			case '/':
				st = beforeAttr
			default:
				st = afterAttrName
			}
			i++
		case afterAttrName:
			switch {
			case c == '=':
				st = beforeValue
				i++
			case c == '>':
				return i + 1, st, true
			case c == '/':
				st = beforeAttr
				i++
			case IsSpace(c):
				i++
			default:
				st = beforeAttr // the same byte begins the next name
			}
		case beforeValue:
			switch {
			case IsSpace(c):
				i++
			case c == '"':
				st = inDouble
				i++
			case c == '\'':
				st = inSingle
				i++
			case c == '>':
				return i + 1, st, true
			default:
				st = inUnquoted
			}
		case inDouble, inSingle:
			q := byte('"')
			if st == inSingle {
				q = '\''
			}
			j := bytes.IndexByte(b[i:], q)
			if j < 0 {
				return len(b), st, false
			}
			i += j + 1
			st = beforeAttr
		case inUnquoted:
			for c != '>' && !IsSpace(c) {
				if i++; i == len(b) {
					return i, inUnquoted, false
				}
				c = b[i]
			}
			if c == '>' {
				return i + 1, st, true
			}
			st = beforeAttr
			i++
		}
	}
	return i, st, false
}

// quickStart reads the start tag at data[i] in one go, which nearly all allow. It
// is not ok, and nothing is changed, if the tag is not complete or stands where
// more than its end matters; then walk does it.
func (s *Scanner) quickStart(data []byte, i int) (ev Event, ok bool) {
	if s.InNoscript || s.ghost != Other {
		return again, false
	}
	nameEnd := i + 2
	for nameEnd < len(data) && class[data[nameEnd]]&endsTagName == 0 {
		nameEnd++
	}
	elem := ElemOf(data[i+1 : nameEnd])
	// An element of svg may turn out to end it, so both are wanted there.
	record := elem != Other || s.foreign.active()
	end, ok := s.quickAttrs(data, nameEnd, record, elem == Other)
	if !ok {
		return again, false
	}
	s.begin, s.Start, s.NameEnd, s.End, s.Elem = i, i, nameEnd, end, elem
	s.pos, s.Open, s.Long, s.HasAttrs = end, false, false, record
	return s.startTag(data), true
}

// quickEnd is quickStart for an end tag without attributes.
func (s *Scanner) quickEnd(data []byte, i int) bool {
	if s.InNoscript || s.ghost != Other || s.Every {
		return false
	}
	nameEnd := i + 3
	for nameEnd < len(data) && class[data[nameEnd]]&endsTagName == 0 {
		nameEnd++
	}
	if nameEnd == len(data) || data[nameEnd] != '>' {
		return false
	}
	s.pos, s.Open = nameEnd+1, false
	if s.InTemplate > 0 || s.sel || s.foreign.active() {
		s.endTag(data[i+2 : nameEnd])
	}
	return true
}

// maxAttrs is how many attributes the scanner keeps. A tag with more is rare, and
// its caller may read them.
const maxAttrs = 1 << 10

// quickAttrs reads the attributes behind a tag name, up to the tag's end. It puts
// them into s.Attrs, if record, and notes in s.Flags, for an other element, whether
// any may load something on any element.
func (s *Scanner) quickAttrs(b []byte, i int, record, other bool) (end int, ok bool) {
	attrs := s.Attrs[:0]
	s.Flags, s.tag = 0, beforeAttr
	for i < len(b) {
		c := class[b[i]]
		if c&between != 0 {
			i++
			continue
		}
		if b[i] == '>' {
			s.Attrs = attrs
			return i + 1, true
		}
		a := Attr{Name: i}
		for i++; i < len(b) && class[b[i]]&endsAttrName == 0; i++ {
		}
		a.NameEnd, a.Val, a.ValEnd = i, i, i
		for i < len(b) && class[b[i]]&space != 0 {
			i++
		}
		if i < len(b) && b[i] == '=' {
			for i++; i < len(b) && class[b[i]]&space != 0; i++ {
			}
			if i == len(b) {
				return 0, false
			}
			switch q := b[i]; q {
			case '"', '\'':
				i++
				n := bytes.IndexByte(b[i:], q)
				if n < 0 {
					return 0, false
				}
				a.Quote, a.Val, a.ValEnd = q, i, i+n
				i += n + 1
			case '>':
				a.Val, a.ValEnd = i, i
			default:
				a.Val = i
				for i < len(b) && class[b[i]]&endsUnquoted == 0 {
					i++
				}
				a.ValEnd = i
				if i < len(b) && b[i] == '>' {
					s.tag = inUnquoted
				}
			}
		}
		if record {
			if len(attrs) == maxAttrs {
				return 0, false
			}
			attrs = append(attrs, a)
		}
		if other {
			s.Flags |= flag(b, a)
		}
	}
	return 0, false
}

// flag returns the flag of an attribute, 0 if it loads nothing.
func flag(b []byte, a Attr) uint8 {
	f := attrFlag[b[a.Name]]
	if f == 0 || f == flagFollow && !mayRun(b[a.Name:a.NameEnd], b[a.Val:a.ValEnd]) || f != flagFollow && !loadsAnywhere(b[a.Name:a.NameEnd]) {
		return 0
	}
	return f
}

// reread makes the flags of a complete tag that came in pieces those that it would
// have had in one: the walk knows nothing but how names begin.
func (s *Scanner) reread(data []byte) {
	s.Flags = 0
	s.Attrs, s.HasAttrs = Attrs(s.Attrs[:0], data[:s.End], s.NameEnd), true
	for _, a := range s.Attrs {
		s.Flags |= flag(data, a)
	}
	if len(s.Attrs) > maxAttrs {
		s.Attrs, s.HasAttrs = nil, false
	}
}

// loadsAnywhere reports whether an attribute of this name may load something on
// any element.
func loadsAnywhere(name []byte) bool {
	switch len(name) {
	case 4:
		if EqualFold(name, "ping") {
			return true
		}
	case 5:
		if EqualFold(name, "style") {
			return true
		}
	case 10:
		if EqualFold(name, "background") {
			return true
		}
	}
	return len(name) > 2 && HasPrefixFold(name, "on")
}

// mayRun reports whether following the link, or submitting the form, that has the
// attribute may run a "javascript:" URL. Links are the commonest tags of many
// pages, so only the value's first byte is looked at: that scheme begins with a
// letter of its own, unless a reference spells it or something stands in front.
func mayRun(name, value []byte) bool {
	if len(value) == 0 || value[0]|0x20 != 'j' && value[0] != '&' && value[0] > ' ' {
		return false
	}
	switch len(name) {
	case 4:
		return EqualFold(name, "href")
	case 6:
		return EqualFold(name, "action")
	case 10:
		return EqualFold(name, "formaction") || EqualFold(name, "xlink:href")
	}
	return false
}

// follows reports whether the element of that name is a link or a form or submits
// one.
func follows(name []byte) bool {
	return EqualFold(name, "a") || EqualFold(name, "area") || EqualFold(name, "form") || EqualFold(name, "button")
}

// An Attr holds the spans of one attribute, as offsets into the slice that was
// parsed. Duplicates are kept: the first counts for the parser, later ones can
// still be seen by preload scanners.
type Attr struct {
	Name, NameEnd int
	Val, ValEnd   int  // Val == ValEnd if the attribute has no value
	Quote         byte // '"', '\'' or 0
	Open          bool // the input ended inside this attribute
}

// Attrs appends to dst the attributes of the tag b[i:], where i stands behind
// the tag name, up to the tag's '>' or the end of b.
func Attrs(dst []Attr, b []byte, i int) []Attr {
	for {
		for i < len(b) && (b[i] == '/' || IsSpace(b[i])) {
			i++
		}
		if i >= len(b) || b[i] == '>' {
			return dst
		}
		a := Attr{Name: i}
		for i++; i < len(b) && class[b[i]]&endsAttrName == 0; i++ {
		}
		a.NameEnd, a.Val, a.ValEnd = i, i, i
		if i >= len(b) {
			a.Open = true
			return append(dst, a)
		}
		j := i
		for j < len(b) && IsSpace(b[j]) {
			j++
		}
		if j >= len(b) || b[j] != '=' {
			if j >= len(b) {
				a.Open = true
			}
			dst = append(dst, a)
			i = j
			continue
		}
		for j++; j < len(b) && IsSpace(b[j]); j++ {
		}
		a.Val, a.ValEnd = j, j
		if j >= len(b) {
			a.Open = true
			return append(dst, a)
		}
		switch c := b[j]; c {
		case '>':
			i = j
		case '"', '\'':
			a.Quote = c
			a.Val = j + 1
			if n := bytes.IndexByte(b[a.Val:], c); n >= 0 {
				a.ValEnd = a.Val + n
				i = a.ValEnd + 1
			} else {
				a.ValEnd, a.Open = len(b), true
				i = len(b)
			}
		default:
			for i = j; i < len(b) && b[i] != '>' && !IsSpace(b[i]); i++ {
			}
			a.ValEnd = i
			a.Open = i == len(b)
		}
		dst = append(dst, a)
	}
}

// NameEnd returns the end of the tag name that begins at b[i].
func NameEnd(b []byte, i int) int {
	for i < len(b) && class[b[i]]&endsTagName == 0 {
		i++
	}
	return i
}

// selfClosing reports whether the complete tag b, which ends with '>', ends in
// a "/>" that is markup and not the tail of an unquoted value (CVE-2025-22872).
func selfClosing(b []byte, last tagState) bool {
	return len(b) >= 2 && b[len(b)-2] == '/' && last != inUnquoted
}
