package policy

import (
	"bytes"
	"strings"
)

// An inlineWeight says what the place of a loader signature makes of it.
type inlineWeight uint8

const (
	noWeight   inlineWeight = iota // comment, prose, data: means nothing
	ifRun                          // code in a string: counts if the script runs code from strings
	ifWritten                      // inside markup in a string: counts if the script writes markup
	ifLoading                      // an address: counts if the script loads anything at all
	fullWeight                     // counts
	numWeights
)

// A literal is the string, or piece of template, that hits stand in. What is
// learned about it while going from hit to hit is kept, so that a long literal
// full of hits is still read once.
type literal struct {
	token      jsToken
	start, end int  // the text between the quotes
	read       int  // how far tags were looked at
	tag        int  // last < before read, or -1
	script     bool // the last script tag before read is an opening one
	after      byte // first byte of the next token, as far as it matters
}

// Bounds of an address, so that a text of one long word stays cheap. What is
// longer is taken for an address.
const (
	maxAddressBefore = 512
	maxAddressAfter  = 1024
)

// weigh judges a hit that stands in token t.
func (j *inlineJudge) weigh(p *inlinePattern, h inlineHit, t jsToken) inlineWeight {
	switch t.kind {
	case jsComment, jsRegexp:
		return noWeight
	case jsString, jsChunk:
		return j.weighText(p, h, t)
	}
	if p.shape == codeShape {
		return fullWeight
	}
	return noWeight
}

// weighText judges a hit that begins in a string literal or template text.
func (j *inlineJudge) weighText(p *inlinePattern, h inlineHit, t jsToken) inlineWeight {
	opens := t.kind == jsString || t.opensChunk()
	if j.lit.token != t {
		j.lit = j.newLiteral(t)
	}
	switch {
	case p.shape == codeShape && opens && h.start == t.start:
		return fullWeight
	case p.shape == literalShape:
		if opens && h.start == t.start && h.end == t.end && !j.compared() {
			return ifLoading
		}
		return noWeight
	}
	j.lit.advance(j.lex.src, h.start)
	if p.shape == codeShape {
		if j.lit.script {
			return ifWritten
		}
		return ifRun
	}
	return j.weighAddress(h)
}

func (j *inlineJudge) newLiteral(t jsToken) literal {
	l := literal{token: t, start: t.start + 1, end: t.end, read: t.start + 1, tag: -1}
	if t.kind == jsString || t.closesChunk() {
		l.end = max(l.start, t.end-1)
	}
	l.after = nextByte(j.lex.src, t.end)
	if l.after == '!' || l.after == '=' {
		// Only a comparison may follow a literal: == or !=.
		l.after = '~'
	}
	return l
}

// advance looks for tags up to byte to.
func (l *literal) advance(src []byte, to int) {
	for l.read < to {
		k := bytes.IndexByte(src[l.read:to], '<')
		if k < 0 {
			l.read = to
			return
		}
		l.tag = l.read + k
		l.read = l.tag + 1
		switch rest := src[l.read:]; {
		case hasPrefixFold(rest, "script"):
			l.script = true
		case hasPrefixFold(rest, "/script"), hasPrefixFold(rest, `\/script`):
			l.script = false
		}
	}
}

// weighAddress judges a piece of an address in the current literal.
func (j *inlineJudge) weighAddress(h inlineHit) inlineWeight {
	src, lit := j.lex.src, &j.lit
	from := h.start
	for from > lit.start && h.start-from < maxAddressBefore && isAddressByte(src[from-1]) {
		from--
	}
	if len(bytes.TrimSpace(src[lit.start:min(from, lit.start+16)])) == 0 && from-lit.start < 16 {
		if j.concatenated() || j.addressTo(h.end) {
			return j.weighWhole(h, from)
		}
	}
	switch {
	case lit.attribute(src, from, h.start):
		return ifWritten
	case lit.style(src, from):
		return ifLoading
	case lit.script:
		return ifWritten
	case from > lit.start && isQuote(src[from-1]):
		return ifRun // a literal in the code in this literal
	}
	return noWeight
}

// weighWhole judges an address that is the whole of its literal, or the
// beginning of one that continues another string.
func (j *inlineJudge) weighWhole(h inlineHit, from int) inlineWeight {
	prev, top, after := j.lex.prev, j.lex.top(), j.lit.after
	if j.compared() {
		return noWeight
	}
	listed := prev.kind == jsMark && (prev.mark == ',' || prev.mark == '[' || prev.mark == '{')
	if after == ':' && top == curlyOpen && listed {
		return noWeight // a property's name
	}
	if j.concatenated() || hasAuthority(j.lex.src, from, h.start) {
		if top == callParen {
			return fullWeight // whatever is called gets a vendor's address to load
		}
		return ifLoading
	}
	// Without a scheme it is no address a browser could load the vendor from; in a
	// list of such names it is one of a list of vendors.
	if top == squareOpen && listed && (after == ',' || after == ']') {
		return noWeight
	}
	return ifLoading
}

// compared tells whether the current literal is only compared with something.
func (j *inlineJudge) compared() bool {
	prev := j.lex.prev
	return j.lex.top() == lookupParen || j.lit.after == '~' ||
		prev.kind == jsMark && prev.mark == '~' ||
		prev.kind == jsName && string(j.lex.text(prev)) == "case"
}

// concatenated tells whether the current literal continues another string.
func (j *inlineJudge) concatenated() bool {
	prev := j.lex.prev
	return j.lit.token.kind == jsChunk && !j.lit.token.opensChunk() || prev.kind == jsMark && prev.mark == '+'
}

// addressTo tells whether nothing but an address follows in the literal.
func (j *inlineJudge) addressTo(i int) bool {
	src, end := j.lex.src, j.lit.end
	if i >= end {
		return true
	}
	stop := min(end, i+maxAddressAfter)
	for i < stop && isAddressByte(src[i]) {
		i++
	}
	return i >= stop || len(bytes.TrimSpace(src[i:min(end, i+16)])) == 0 && end-i < 16
}

// attribute tells whether the word at src[from:to] is, or begins with, the value
// of an attribute of a tag, or of a property in code, that makes a browser load
// it.
func (l *literal) attribute(src []byte, from, to int) bool {
	i := from
	for i > l.start && from-i < 8 && (isQuote(src[i-1]) || src[i-1] == '\\' || src[i-1] == ' ') {
		i--
	}
	word := src[from:to]
	eq := bytes.IndexByte(word, '=')
	if percent := bytes.Index(word, []byte("%3D")); percent >= 0 && (eq < 0 || percent < eq) {
		eq = percent
	}
	switch {
	case i > l.start && src[i-1] == '=':
		i--
	case eq > 0:
		i = from + eq
	default:
		return false
	}
	for i > l.start && src[i-1] == ' ' && from-i < 16 {
		i--
	}
	start := i
	for start > l.start && i-start < 8 && (isNameByte(src[start-1]) || src[start-1] == '-') {
		start--
	}
	switch name := bytes.ToLower(src[start:i]); string(name) {
	case "src", "href", "data", "data-src", "srcset":
	default:
		return false
	}
	if l.tag < 0 && bytes.Contains(src[max(l.start, start-maxAddressBefore):start], []byte("&lt;")) {
		return false // a sample that is shown
	}
	link := l.tag >= 0 && l.tag+2 < len(src) && src[l.tag+1]|foldBit == 'a' && !isNameByte(src[l.tag+2]) &&
		bytes.IndexByte(src[l.tag:min(start, l.tag+maxAddressAfter)], '>') < 0
	return !link
}

// style tells whether the word at from is loaded by a style sheet.
func (l *literal) style(src []byte, from int) bool {
	before := src[max(l.start, from-16):from]
	before = bytes.TrimRight(before, `'"\ `)
	return bytes.HasSuffix(before, []byte("url(")) || bytes.HasSuffix(before, []byte("@import"))
}

// hasAuthority tells whether the two slashes before a host begin at src[from:to]
// or at to.
func hasAuthority(src []byte, from, to int) bool {
	for i := from; i <= to; i++ {
		if n := widthAt(src, i, '/', false); n > 0 && widthAt(src, i+n, '/', false) > 0 {
			return true
		}
	}
	return false
}

// addressMarks holds the marks of an address in a literal: those of RFC 3986
// without quotes and round brackets, the backslash of an escaped slash, and the
// braces of templates.
const addressMarks = `-._~:/?#@!&*+=%|,;{}\`

func isAddressByte(b byte) bool { return isNameByte(b) || strings.IndexByte(addressMarks, b) >= 0 }

func isQuote(b byte) bool { return b == '\'' || b == '"' || b == '`' }

func hasPrefixFold(text []byte, lower string) bool {
	return len(text) >= len(lower) && bytes.EqualFold(text[:len(lower)], []byte(lower))
}
