package scan

import "bytes"

// ambiguous reports whether the text of the raw text element at hand is markup
// in another reading: inside svg and math the names mean ordinary elements,
// older parsers ignore them in select, and a frameset page ignores them too, as
// does a template behind a col.
// Scripts run in a select in every reading.
func (s *Scanner) ambiguous() bool {
	return s.foreign.active() || s.frameset || s.columns || s.sel && s.raw != Script
}

// text reports the piece [from, to) of the element's text if it is one whose
// text matters.
func (s *Scanner) text(from, to int, last bool) Event {
	s.Start, s.End, s.Last, s.Elem = from, to, last, s.raw
	s.pos, s.Hold = to, to
	if last {
		s.mode = inData
	}
	if s.raw != Script && s.raw != Style && !s.Every || from == to && !last {
		return again
	}
	return RawText
}

// endKind tells what the "<" at data[i] means for a raw text element.
type endKind uint8

const (
	notEnd  endKind = iota
	ownEnd          // the element's own end tag
	parted          // an end tag of noscript around the element
	unknown         // the data ends too early to tell
)

func (s *Scanner) endAt(data []byte, i int, eof bool) endKind {
	rest := data[i+1:]
	if len(rest) == 0 || rest[0] == '/' && len(rest) == 1 {
		return endIf(eof)
	}
	if rest[0] != '/' {
		return notEnd
	}
	rest = rest[1:]
	if s.raw != Plaintext {
		switch k := endTagIs(rest, rawEnd[s.raw], eof); k {
		case ownEnd, unknown:
			return k
		}
	}
	if s.ghost != Other {
		switch endTagIs(rest, rawEnd[s.ghost], eof) {
		case ownEnd:
			s.diverge(i, ByEmpty)
		case unknown:
			return unknown
		}
	}
	if s.InNoscript {
		switch k := endTagIs(rest, "noscript", eof); k {
		case ownEnd:
			return parted
		case unknown:
			return unknown
		}
	}
	return notEnd
}

func endIf(eof bool) endKind {
	if eof {
		return notEnd
	}
	return unknown
}

// endTagIs compares the bytes behind "</" with an end tag's name and the byte
// that must follow it.
func endTagIs(rest []byte, name string, eof bool) endKind {
	if len(rest) <= len(name) {
		if !eof && EqualFold(rest, name[:len(rest)]) {
			return unknown
		}
		return notEnd
	}
	if c := rest[len(name)]; (c == '>' || c == '/' || IsSpace(c)) && HasPrefixFold(rest, name) {
		return ownEnd
	}
	return notEnd
}

// rawText hops through the text of an element other than script.
func (s *Scanner) rawText(data []byte, eof bool) Event {
	from := s.pos
	for i := from; i < len(data); i++ {
		n := bytes.IndexByte(data[i:], '<')
		if n < 0 {
			break
		}
		i += n
		switch s.endAt(data, i, eof) {
		case ownEnd:
			if s.inSection(data, from, i); s.cdata == 1 {
				s.diverge(i, s.cause()) // the section goes on in the other reading
			}
			return s.text(from, i, true)
		case parted:
			s.diverge(i, ByNoscript)
			s.InNoscript = false
			return s.text(from, i, true)
		case unknown:
			return s.pause(data, from, i, eof)
		}
		if s.ambiguous() && !s.Diverged {
			if partOfOpen(data[i:], eof) {
				return s.pause(data, from, i, eof)
			}
			s.markup(data, i)
		}
	}
	return s.pause(data, from, len(data), eof)
}

// pause reports the piece [from, to) and, once that is done, asks for more.
func (s *Scanner) pause(data []byte, from, to int, eof bool) Event {
	s.inSection(data, from, to)
	if eof {
		s.Open = true
		return s.text(from, to, true)
	}
	if ev := s.text(from, to, false); ev != again {
		return ev
	}
	return s.need(to, eof)
}

const cdataOpen = "<![CDATA["

// partOfOpen reports whether rest ends too early to tell if a CDATA section begins
// there.
func partOfOpen(rest []byte, eof bool) bool {
	return !eof && len(rest) < len(cdataOpen) && string(rest) == cdataOpen[:len(rest)]
}

// markup looks at a '<' inside raw text that may be markup in another reading.
// A CDATA section, as drawing programs write it around a style sheet, is text in
// both readings if it ends before the element does and has no '<' of its own.
func (s *Scanner) markup(data []byte, i int) {
	if i+1 >= len(data) {
		return
	}
	c := data[i+1]
	if c == '!' && s.cdata == 0 && bytes.HasPrefix(data[i:], []byte(cdataOpen)) {
		s.cdata, s.brackets, s.opened = 1, 0, i+len(cdataOpen)
		return
	}
	if isLetter(c) || c == '/' || c == '!' || c == '?' {
		s.diverge(i, s.cause())
	}
}

// inSection follows a CDATA section inside raw text to its "]]>", through the piece
// [from, to) of which the section may take up the end only.
func (s *Scanner) inSection(data []byte, from, to int) {
	if s.cdata != 1 {
		return
	}
	for _, c := range data[min(max(from, s.opened), to):to] {
		switch {
		case c == ']':
			s.brackets = min(s.brackets+1, 2)
		case c == '>' && s.brackets == 2:
			s.cdata = 2
			return
		default:
			s.brackets = 0
		}
	}
}

// script hops through the text of a script element.
func (s *Scanner) script(data []byte, eof bool) Event {
	from := s.pos
	for i := from; i < len(data); i++ {
		if s.escape == 0 {
			n := bytes.IndexByte(data[i:], '<')
			if n < 0 {
				break
			}
			i += n
		} else if s.dash(data[i]) {
			continue
		}
		k := s.endAt(data, i, eof)
		if k == notEnd && s.escape < 2 {
			k = s.escapeAt(data, i, eof)
		}
		switch {
		case k == unknown:
			return s.pause(data, from, i, eof)
		case k == ownEnd && s.escape == 2:
			s.escape = 1
			i += len("</script") - 1
		case k == ownEnd:
			if s.inSection(data, from, i); s.cdata == 1 {
				s.diverge(i, s.cause()) // as in rawText
			}
			return s.text(from, i, true)
		case k == parted:
			s.diverge(i, ByNoscript)
			s.InNoscript = false
			return s.text(from, i, true)
		case s.ambiguous() && !s.Diverged:
			if partOfOpen(data[i:], eof) {
				return s.pause(data, from, i, eof)
			}
			s.markup(data, i)
		}
	}
	return s.pause(data, from, len(data), eof)
}

// dash follows one byte of an escaped script and reports whether it needs no
// closer look.
func (s *Scanner) dash(c byte) bool {
	switch c {
	case '-':
		s.dashes = min(s.dashes+1, 2)
	case '<':
		s.dashes = 0
		return false
	case '>':
		if s.dashes == 2 {
			s.escape = 0
		}
		s.dashes = 0
	default:
		s.dashes = 0
	}
	return true
}

// escapeAt looks for "<!--" and, behind it, "<script" (HTML standard, sections
// 13.2.5.17 to 13.2.5.31).
func (s *Scanner) escapeAt(data []byte, i int, eof bool) endKind {
	rest := data[i+1:]
	if s.escape == 0 {
		if len(rest) < 3 {
			if !eof && string(rest) == "!--"[:len(rest)] {
				return unknown
			}
		} else if string(rest[:3]) == "!--" {
			s.escape, s.dashes = 1, 0 // the dashes themselves are counted next
		}
		return notEnd
	}
	switch endTagIs(rest, "script", eof) {
	case unknown:
		return unknown
	case ownEnd:
		s.escape, s.dashes = 2, 0
	}
	return notEnd
}

// comment hops to "-->" or "--!>".
func (s *Scanner) comment(data []byte, eof bool) Event {
	from := s.pos
	end := -1
	for i := from; i < len(data); i++ {
		n := bytes.IndexByte(data[i:], '>')
		if n < 0 {
			break
		}
		i += n
		if i-s.begin >= 4 && data[i-1] == '-' && data[i-2] == '-' ||
			i-s.begin >= 7 && data[i-1] == '!' && data[i-2] == '-' && data[i-3] == '-' {
			end = i + 1
			break
		}
	}
	return s.skipped(data, from, end, 3, eof)
}

// bogus hops to the first '>'.
func (s *Scanner) bogus(data []byte, eof bool) Event {
	from, end := s.pos, -1
	if n := bytes.IndexByte(data[from:], '>'); n >= 0 {
		end = from + n + 1
	}
	return s.skipped(data, from, end, 0, eof)
}

// section hops to "]]>". Preload scanners do not know CDATA sections, so markup
// inside parts the readings.
func (s *Scanner) section(data []byte, eof bool) Event {
	from, end := s.pos, -1
	if n := bytes.Index(data[from:], []byte("]]>")); n >= 0 {
		end = from + n + 3
	}
	to := end
	if to < 0 {
		to = len(data)
	}
	if n := bytes.IndexAny(data[from:to], "<>"); n >= 0 && (end < 0 || from+n < end-1) {
		s.diverge(from+n, BySection)
	}
	return s.skipped(data, from, end, 2, eof)
}

// skipped goes on behind a comment or section that ends at end, -1 if the data
// holds no end; its last keep bytes may then be part of one.
func (s *Scanner) skipped(data []byte, from, end, keep int, eof bool) Event {
	if s.InNoscript {
		to := end
		if to < 0 {
			to = len(data)
		}
		if at := indexEndTag(data, from, to, "noscript"); at >= 0 {
			s.Work += to - from
			s.diverge(at, ByNoscript)
			s.pos, s.mode, s.InNoscript = at, inData, false
			return s.seen(Comment, s.begin, at)
		}
		keep = max(keep, len(noscriptEnd))
	}
	if s.ghost != Other {
		keep = max(keep, len(noscriptEnd)) // longer than any other end tag
	}
	if end >= 0 {
		s.ghostEnd(data, from, end)
		s.pos, s.mode = end, inData
		return s.seen(Comment, s.begin, end)
	}
	s.ghostEnd(data, from, len(data))
	if eof {
		s.Open = true
		if s.Every {
			s.pos, s.mode = len(data), inData
			return s.seen(Comment, s.begin, len(data))
		}
		return s.need(len(data), eof)
	}
	s.pos = max(from, len(data)-keep)
	return s.need(max(s.begin, len(data)-keep-3), eof)
}
