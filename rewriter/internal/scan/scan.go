// Package scan finds the edges of tags in a stream of HTML. It is a push
// scanner: the caller hands it whatever bytes it has; complete tags and pieces
// of text come back as offsets, and bytes that matter to nobody are only hopped
// over. It builds no tree and copies nothing.
//
// The order of calls is: Next until it returns More; then keep the bytes from
// Hold on, call Shift with the number of bytes dropped before them, append more
// input and call Next again. At the end of the input pass eof and call Next
// until it returns Done.
//
// Where a document has several readings (noscript, select, svg, math, frameset)
// the scanner follows one and watches for the place where another would go a
// different way. From there on Diverged is set, and every '<' followed by a
// letter may begin a tag for somebody: a start tag has the same bytes in every
// reading, only whether it counts differs.
package scan

import "bytes"

// An Event is what Next found.
type Event uint8

const (
	// More: everything before Hold is decided; more input is needed.
	More Event = iota
	// Done: the end of the input was reached.
	Done
	// StartTag: [Start, End) is a start tag whose name ends at NameEnd.
	StartTag
	// OpenTag: the input ended inside the start tag [Start, End).
	OpenTag
	// RawText: [Start, End) is a piece of the text of Elem, a script or style
	// element; Last on its last piece.
	RawText
	// EndTag and Comment are reported only to those who ask for every event.
	// Comment is a comment, a declaration, an instruction or a CDATA section. With
	// Open the input ended inside.
	EndTag
	Comment

	again // nothing to report yet
)

type mode uint8

const (
	inData    mode = iota
	inTag          // a tag has begun at begin
	inRaw          // text up to the end tag of raw
	inScript       // the same, with the script escapes
	inComment      // a comment has begun at begin
	inBogus        // up to the first '>'
	inCDATA
)

// A Scanner finds token edges. The zero value is ready for the start of a
// document.
type Scanner struct {
	Start, NameEnd, End int
	Elem                Elem
	Last                bool // of a piece of raw text
	Hold                int  // first byte that must be kept
	// Long: the tag at hand outgrew what the caller holds and its first bytes
	// are gone; Start and NameEnd mean nothing. See Outgrown.
	Long  bool
	Flags uint8 // of a start tag: not 0 if any of its attributes may load something on any element

	// Attrs are the attributes of the start tag, with HasAttrs. They are not there
	// if the tag did not come in one piece: see the function Attrs.
	Attrs    []Attr
	HasAttrs bool

	// Empty: the start tag is an empty element of svg or math, so no text of it
	// follows, whatever its name.
	Empty bool
	// Open: the input ended inside a tag, a comment or the text of an element.
	Open bool
	// Tangled: the tag at hand outgrew what the caller holds and has an end tag
	// of noscript inside. It cannot be judged in every reading any more.
	Tangled bool

	// Diverged: from DivergedAt on the readings of this document may differ.
	Diverged   bool
	DivergedAt int
	Cause      Cause
	// InTemplate counts open template elements.
	InTemplate int
	// InNoscript: the scanner stands inside noscript.
	InNoscript bool
	// Work counts the bytes looked at, some of them more than once. The tests of
	// linearity read it.
	Work int

	pos      int
	begin    int
	long     node // name of a Long tag
	end      bool // of a Long tag: it is an end tag
	mode     mode
	tag      tagState
	raw      Elem
	escape   uint8 // of a script: 0 none, 1 escaped, 2 double escaped
	dashes   uint8 // of an escaped script: '-' seen in a row, at most 2
	cdata    uint8 // of ambiguous raw text: 0 none, 1 inside a CDATA section; see ambiguous
	brackets uint8 // of that CDATA section: ']' seen in a row, at most 2
	opened   int   // where the text of that section begins
	ghost    Elem  // an Empty element that preload scanners take for an open one
	columns  bool  // a col stands in a template: its other start tags may count for nothing
	sel      bool
	frameset bool
	foreign  foreign

	// Every asks for all start tags, end tags, comments and raw text. The zero
	// value reports what may load something. The start of a long comment or tag may
	// then lie before the data.
	Every bool
}

// Foreign reports whether the scanner stands inside svg or math, or may do so.
func (s *Scanner) Foreign() bool { return s.foreign.active() }

// InFrameset reports whether a frameset was seen.
func (s *Scanner) InFrameset() bool { return s.frameset }

// Ghost reports whether preload scanners may stand inside an element that is
// empty for everybody else: the next end tag of its name would close it for them.
func (s *Scanner) Ghost() bool { return s.ghost != Other }

// InTag reports whether a tag is open, and where it begins.
func (s *Scanner) InTag() (begin int, ok bool) { return s.begin, s.mode == inTag }

// A TagWalk looks for the end of one tag and goes on where it stopped when more
// of the tag is there. The zero value begins at Pos.
type TagWalk struct {
	Pos   int // behind the tag's '<' at first, then how far it got
	state tagState
}

// End returns the position behind the '>' that ends the tag, or len(data) and
// false if the data ends first.
func (w *TagWalk) End(data []byte) (end int, ok bool) {
	var flags uint8
	w.Pos, w.state, ok = walkTag(data, w.Pos, w.state, &flags)
	return w.Pos, ok
}

// Shift tells the scanner that n bytes were dropped from the front of the data.
func (s *Scanner) Shift(n int) {
	s.pos -= n
	s.opened -= n
	s.begin -= n
	s.Start -= n
	s.NameEnd -= n
	s.End -= n
	s.Hold -= n
	s.DivergedAt -= n
	s.HasAttrs = false
}

// Next goes on to the next event in data. eof says that nothing follows data.
func (s *Scanner) Next(data []byte, eof bool) Event {
	for {
		if s.InNoscript && s.mode.spans() && len(data)-s.pos > stride {
			// The token may end at an end tag of noscript inside it, and the scanner
			// go back there: it must not have read on to the end of the data first.
			if ev := s.step(data[:s.pos+stride], false); ev != again && ev != More {
				return ev
			}
			continue
		}
		if ev := s.step(data, eof); ev != again {
			return ev
		}
	}
}

// stride is how far a token inside noscript is read at once.
const stride = 256

// spans reports whether the mode is that of a token which can be read in steps.
func (m mode) spans() bool { return m == inTag || m >= inComment }

// step goes on to the next event, or part of the way.
func (s *Scanner) step(data []byte, eof bool) (ev Event) {
	from := s.pos
	switch s.mode {
	case inData:
		ev = s.data(data, eof)
	case inTag:
		ev = s.walk(data, eof)
	case inRaw:
		ev = s.rawText(data, eof)
	case inScript:
		ev = s.script(data, eof)
	case inComment:
		ev = s.comment(data, eof)
	case inBogus:
		ev = s.bogus(data, eof)
	case inCDATA:
		ev = s.section(data, eof)
	}
	s.Work += max(0, s.pos-from)
	return ev
}

// need ends the walk through data: everything before hold is decided.
func (s *Scanner) need(hold int, eof bool) Event {
	s.Hold = hold
	if eof {
		s.Hold, s.pos, s.mode = hold, hold, inData
		return Done
	}
	return More
}

// diverge notes that readings part at offset at.
func (s *Scanner) diverge(at int, why Cause) {
	if !s.Diverged {
		s.Diverged, s.DivergedAt, s.Cause = true, at, why
	}
}

// data hops from '<' to '<'.
func (s *Scanner) data(data []byte, eof bool) Event {
	for s.pos < len(data) {
		i := s.pos
		if data[i] != '<' { // tags often stand side by side
			n := bytes.IndexByte(data[i:], '<')
			if n < 0 {
				s.pos = len(data)
				break
			}
			i += n
			s.pos = i
		}
		if i+1 >= len(data) {
			return s.short(data, i, eof)
		}
		switch c := data[i+1]; {
		case isLetter(c):
			if ev, ok := s.quickStart(data, i); ok {
				if ev == again {
					continue
				}
				return ev
			}
			s.begin, s.pos, s.mode, s.tag, s.Flags, s.Long = i, i+1, inTag, inName, 0, false
			return again
		case c == '/':
			if i+2 >= len(data) {
				return s.short(data, i, eof)
			}
			switch c := data[i+2]; {
			case isLetter(c):
				if s.quickEnd(data, i) {
					continue
				}
				s.begin, s.pos, s.mode, s.tag, s.Flags, s.Long = i, i+2, inTag, inName, 0, false
				return again
			case c == '>': // no token at all
				s.pos = i + 3
				return s.seen(Comment, i, i+3)
			default:
				s.begin, s.pos, s.mode = i, i+2, inBogus
				return again
			}
		case c == '!':
			return s.declaration(data, i, eof)
		case c == '?':
			s.begin, s.pos, s.mode = i, i+2, inBogus
			return again
		default:
			s.pos = i + 1
		}
	}
	return s.need(s.pos, eof)
}

// short deals with a '<' at the very end of the data.
func (s *Scanner) short(data []byte, i int, eof bool) Event {
	if eof {
		i = len(data)
	}
	return s.need(i, eof)
}

// declaration reads what follows "<!" at data[i].
func (s *Scanner) declaration(data []byte, i int, eof bool) Event {
	const section = "[CDATA["
	rest := data[i+2:]
	foreign := s.foreign.active()
	if !eof && (len(rest) == 0 || len(rest) == 1 && rest[0] == '-' ||
		foreign && len(rest) < len(section) && string(rest) == section[:len(rest)]) {
		return s.need(i, eof)
	}
	s.begin, s.pos = i, i+2
	switch {
	case len(rest) >= 2 && rest[0] == '-' && rest[1] == '-':
		// "<!-->" and "<!--->" are complete: the search begins at the dashes.
		s.mode = inComment
	case foreign && bytes.HasPrefix(rest, []byte(section)):
		s.mode = inBogus
		if s.foreign.inForeign() {
			s.pos, s.mode = i+2+len(section), inCDATA
		} else {
			s.diverge(i, ByForeign)
		}
	default:
		s.mode = inBogus
	}
	return again
}

// Outgrown tells the scanner that the caller will not hold the open tag, which
// begins in data, any longer. The scanner remembers its name.
func (s *Scanner) Outgrown(data []byte) {
	s.Long = true
	s.Tangled = s.InNoscript && indexEndTag(data, s.begin+1, min(s.pos, len(data)), "noscript") >= 0
	i := s.begin + 1
	if data[i] == '/' {
		i++
	}
	s.end = i == s.begin+2
	name := data[i:NameEnd(data, i)]
	s.long, s.Elem = newNode(name), ElemOf(name)
}

// walk goes through the tag that begins at begin.
func (s *Scanner) walk(data []byte, eof bool) Event {
	from := s.pos
	s.HasAttrs = false
	i, st, ok := walkTag(data, s.pos, s.tag, &s.Flags)
	s.pos, s.tag = i, st
	if s.InNoscript && s.Long {
		s.Tangled = s.Tangled || indexEndTag(data, max(0, from-len(noscriptEnd)), i, "noscript") >= 0
	} else if s.InNoscript {
		// With scripting on, noscript ends here whatever the tag says.
		if at := indexEndTag(data, max(s.begin+1, from-len(noscriptEnd)), i, "noscript"); at >= 0 {
			s.Work += i - from
			s.diverge(s.begin, ByNoscript)
			s.pos, s.mode, s.InNoscript = at, inData, false
			return again
		}
	}
	if !ok && !eof {
		s.Hold = s.begin
		if s.Long {
			s.Hold = i
			if s.InNoscript {
				s.Hold = max(0, s.begin, i-len(noscriptEnd)) // part of an end tag, perhaps
			}
		}
		return More
	}
	s.Open = !ok
	s.ghostEnd(data, max(0, s.begin), i)
	s.Start, s.End, s.mode = s.begin, i, inData
	if s.Long {
		if s.end {
			s.endTag(s.long.name[:s.long.n])
			s.Long = false
			return s.seen(EndTag, s.Start, s.End)
		}
	} else {
		if data[s.Start+1] == '/' {
			s.endTag(data[s.Start+2 : NameEnd(data[:s.End], s.Start+2)])
			return s.seen(EndTag, s.Start, s.End)
		}
		s.NameEnd = NameEnd(data[:s.End], s.Start+1)
		s.Elem = ElemOf(data[s.Start+1 : s.NameEnd])
		if s.Flags != 0 && s.Elem == Other {
			s.reread(data)
		}
	}
	if !ok {
		return OpenTag
	}
	return s.startTag(data)
}

// LongName is how long the name of an element may be that is not reported. In a
// tag that comes in pieces a longer one may be more than the caller holds.
const LongName = 1 << 10

const noscriptEnd = "</noscript"

// ghostEnd looks for the end tag of an empty element of svg inside a token.
// Preload scanners do not know that "/>" closes it: for them its text ends here.
func (s *Scanner) ghostEnd(data []byte, from, to int) {
	if s.ghost == Other {
		return
	}
	if at := indexEndTag(data, from+1, to, rawEnd[s.ghost]); at >= 0 {
		s.diverge(at, ByEmpty)
	}
}

// indexEndTag finds "</name" in data[from:to], folding ASCII case; -1 if absent.
func indexEndTag(data []byte, from, to int, name string) int {
	for from < to {
		n := bytes.IndexByte(data[from:to], '<')
		if n < 0 {
			return -1
		}
		from += n
		if to-from > len(name)+1 && data[from+1] == '/' && HasPrefixFold(data[from+2:to], name) {
			return from
		}
		from++
	}
	return -1
}

// startTag follows the start tag [Start, End). It is an event only if somebody
// may want to look at it.
func (s *Scanner) startTag(data []byte) Event {
	s.Empty = false
	if s.foreign.active() || s.Elem == SVG || s.Elem == Math {
		closed := selfClosing(data[:s.End], s.tag)
		s.Empty = closed && s.foreign.inForeign()
		if s.Long {
			s.foreign.lost = true // its attributes are not known
		} else {
			s.foreign.start(s.Elem, data[s.Start:s.End], s.NameEnd-s.Start, closed)
		}
	}
	if s.Elem == Other {
		if s.Flags == flagFollow && !s.Long && !follows(data[s.Start+1:s.NameEnd]) {
			s.Flags = 0
		}
		if s.Flags == 0 && !s.Long && !s.Every && !s.foreign.active() && s.NameEnd-s.Start < LongName {
			return again
		}
		return StartTag
	}
	if rawEnd[s.Elem] != "" && s.Empty {
		s.ghost = s.Elem
	} else if rawEnd[s.Elem] != "" {
		s.raw, s.escape, s.cdata, s.mode = s.Elem, 0, 0, inRaw
		if s.Elem == Script {
			s.mode = inScript
		}
	}
	switch s.Elem {
	case Template:
		if !s.foreign.active() {
			s.InTemplate++
		}
	case Col:
		s.columns = s.columns || s.InTemplate > 0
	case Select:
		s.sel = true
	case Frameset:
		s.frameset = true
	case Noscript:
		s.InNoscript = true
	}
	return StartTag
}

func (s *Scanner) endTag(name []byte) {
	if s.foreign.active() {
		s.foreign.end(name)
	}
	e := ElemOf(name)
	if e == s.ghost {
		s.ghost = Other
	}
	switch e {
	case Template:
		s.InTemplate = max(0, s.InTemplate-1)
		s.columns = s.columns && s.InTemplate > 0
	case Select:
		s.sel = false
	case Noscript:
		s.InNoscript = false
	}
}
