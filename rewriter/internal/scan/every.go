package scan

// A Cause says why the readings of a document parted.
type Cause uint8

const (
	Together   Cause = iota // they have not
	ByNoscript              // noscript is text with scripting on, markup with scripting off
	ByForeign               // markup that svg or math may take for something else
	ByEmpty                 // "/>" closed a raw text element of svg, which preload scanners miss
	BySection               // markup inside a CDATA section, which preload scanners do not know
	BySelect                // older parsers ignore the tags of raw text elements in select
	ByFrameset              // frameset pages ignore them too
	ByColumns               // a template behind a col ignores start tags
)

var causeTexts = [...]string{
	Together:   "not at all",
	ByNoscript: "noscript ends earlier with scripting on than with scripting off",
	ByForeign:  "inside svg or math this is markup in one reading and text in another",
	ByEmpty:    "\"/>\" closed an element of svg; preload scanners read on to its end tag",
	BySection:  "markup in a CDATA section, which preload scanners do not know",
	BySelect:   "older parsers ignore this element in a select and read its text as markup",
	ByFrameset: "a page with a frameset may ignore this element and read its text as markup",
	ByColumns:  "a template with a col may ignore this element and read its text as markup",
}

func (c Cause) String() string {
	if int(c) < len(causeTexts) {
		return causeTexts[c]
	}
	return "unknown"
}

// cause tells why the raw text at hand is ambiguous.
func (s *Scanner) cause() Cause {
	switch {
	case s.foreign.active():
		return ByForeign
	case s.frameset:
		return ByFrameset
	case s.columns:
		return ByColumns
	}
	return BySelect
}

// seen is what a token that loads nothing is to the caller: an event only to
// those who ask for every one.
func (s *Scanner) seen(ev Event, start, end int) Event {
	if !s.Every {
		return again
	}
	s.Start, s.End, s.Elem = start, end, Other
	return ev
}

// Name returns the name of the start or end tag at hand. Of a tag whose first
// bytes are gone the beginning of its name is known.
func (s *Scanner) Name(data []byte) []byte {
	if s.Long || s.Start < 0 {
		return s.long.name[:s.long.n]
	}
	i := s.Start + 1
	if data[i] == '/' {
		i++
	}
	return data[i:NameEnd(data[:s.End], i)]
}

// Within names the svg or math element around the place the scanner has reached
// and, where HTML's rules are back in force, the element that brought them back:
// "svg foreignobject". sure is false if the markup has left the paths that can be
// followed without a tree.
func (s *Scanner) Within() (name string, sure bool) {
	f := &s.foreign
	for i := f.depth - 1; i >= 0; i-- {
		n := &f.stack[i]
		text := string(n.name[:n.n])
		switch {
		case n.html:
		case n.ip && name == "":
			name = " " + text
		case text == "svg" || text == "math":
			return text + name, !f.lost
		}
	}
	if f.lost {
		return "svg or math", false
	}
	return "", true
}
