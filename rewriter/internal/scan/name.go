package scan

// An Elem identifies an element the scanner or its caller treats specially.
// Every other element is Other.
type Elem uint8

const (
	Other Elem = iota
	Script
	Style
	Title
	Textarea
	Xmp
	Iframe
	Noembed
	Noframes
	Plaintext
	Noscript
	Template
	Select
	Frameset
	SVG
	Math
	Frame
	Object
	Embed
	Img
	Image // HTML turns <image> into <img>; SVG has an <image> of its own
	Source
	Video
	Audio
	Track
	Input
	Link
	Meta
	Base
	Use
	FeImage
	Animate
	Set
	Col
	Param
	AMP // every element of AMP: the names that begin with "amp-"
)

// watched lists every named element but Other and AMP. What loads as another
// element does goes by that one's name.
var watched = map[string]Elem{
	"script": Script, "style": Style, "title": Title, "textarea": Textarea, "xmp": Xmp,
	"iframe": Iframe, "noembed": Noembed, "noframes": Noframes, "plaintext": Plaintext,
	"noscript": Noscript, "template": Template, "select": Select, "frameset": Frameset,
	"svg": SVG, "math": Math, "frame": Frame, "object": Object, "embed": Embed,
	"img": Img, "image": Image, "source": Source, "video": Video, "audio": Audio,
	"track": Track, "input": Input, "link": Link, "meta": Meta, "base": Base,
	"use": Use, "feimage": FeImage, "animate": Animate, "set": Set, "col": Col,
	"param": Param, "portal": Frame, "fencedframe": Frame, "model": Video,
}

const maxName = 11 // bytes of the longest watched name

// nameFilter has bit n set at letter c if a watched name of n bytes begins with
// c. Most tags of a page end here.
var nameFilter = func() (t [256]uint16) {
	for name := range watched {
		bit := uint16(1) << len(name)
		t[name[0]] |= bit
		t[name[0]-'a'+'A'] |= bit
	}
	return t
}()

// An elemTable finds an element by a hash of its name's first eight bytes that
// gives every watched name a place of its own.
type elemTable struct {
	factor uint64
	slots  [1 << elemBits]struct {
		key  uint64
		name string
		elem Elem
	}
}

const elemBits = 9

var elems = func() *elemTable {
	for factor := uint64(0x9E3779B97F4A7C15); ; factor += 2 {
		if t := newElemTable(factor); t != nil {
			return t
		}
	}
}()

// newElemTable returns nil if two names have the same hash.
func newElemTable(factor uint64) *elemTable {
	t := &elemTable{factor: factor}
	for name, e := range watched {
		key := nameKey([]byte(name))
		s := &t.slots[key*factor>>(64-elemBits)]
		if s.name != "" {
			return nil
		}
		s.key, s.name, s.elem = key, name, e
	}
	return t
}

// nameKey returns the first eight bytes of a name, letters in lower case. Other
// bytes may change too, but never into letters.
func nameKey(name []byte) (key uint64) {
	for i, c := range name[:min(len(name), 8)] {
		key |= uint64(c|0x20) << (8 * i)
	}
	return key
}

// ElemOf returns the element a tag name stands for. Only ASCII letters fold:
// browsers do not take "ſcript" for "script" (HTML standard, section 13.2.5.8).
func ElemOf(name []byte) Elem {
	if len(name) > 4 && name[3] == '-' && HasPrefixFold(name, "amp") {
		return AMP
	}
	if len(name) == 0 || len(name) > maxName || nameFilter[name[0]]&(1<<len(name)) == 0 {
		return Other
	}
	key := nameKey(name)
	e := &elems.slots[key*elems.factor>>(64-elemBits)]
	if e.key != key || len(e.name) != len(name) || len(name) > 8 && !EqualFold(name[8:], e.name[8:]) {
		return Other
	}
	return e.elem
}

// rawEnd is the end tag name that closes the element's text, "" if its content
// is ordinary markup. noscript is missing on purpose: the scanner reads its
// content as markup and notices where the other reading differs.
var rawEnd = [...]string{
	Script: "script", Style: "style", Title: "title", Textarea: "textarea", Xmp: "xmp",
	Iframe: "iframe", Noembed: "noembed", Noframes: "noframes", Plaintext: "plaintext",
	AMP: "",
}

// fold maps ASCII upper case to lower case and leaves every other byte alone.
var fold = func() (t [256]byte) {
	for i := range t {
		t[i] = byte(i)
		if 'A' <= i && i <= 'Z' {
			t[i] = byte(i) + 'a' - 'A'
		}
	}
	return t
}()

// HasPrefixFold reports whether b begins with the lower-case ASCII string low,
// folding only ASCII letters of b.
func HasPrefixFold(b []byte, low string) bool {
	if len(b) < len(low) {
		return false
	}
	for i := 0; i < len(low); i++ {
		if fold[b[i]] != low[i] {
			return false
		}
	}
	return true
}

// EqualFold reports whether b equals the lower-case ASCII string low, folding
// only ASCII letters of b.
func EqualFold(b []byte, low string) bool { return len(b) == len(low) && HasPrefixFold(b, low) }

func isLetter(c byte) bool { c |= 0x20; return 'a' <= c && c <= 'z' }

// IsSpace reports whether c separates attributes. A carriage return counts: the
// input stream turns it into a line feed before the tokenizer sees it.
func IsSpace(c byte) bool { return class[c]&space != 0 }

// Classes of bytes inside a tag.
const (
	space uint8 = 1 << iota
	endsTagName
	endsAttrName
	endsUnquoted
	between // attributes
)

var class = func() (t [256]uint8) {
	for _, c := range " \n\t\r\f" {
		t[c] = space | endsTagName | endsAttrName | endsUnquoted | between
	}
	t['/'] = endsTagName | endsAttrName | between
	t['>'] = endsTagName | endsAttrName | endsUnquoted
	t['='] = endsAttrName
	return t
}()
