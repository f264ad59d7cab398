package policy

import "bytes"

// jsKind is a sort of JavaScript token. Sorts that make no difference to where a
// signature stands are not told apart.
type jsKind uint8

const (
	jsEnd     jsKind = iota
	jsName           // identifier or keyword
	jsNumber         //
	jsString         // '…' or "…", with its quotes
	jsChunk          // the text of a template literal up to ${ or the end
	jsRegexp         //
	jsComment        // all sorts, the HTML-like ones too
	jsMark           // one operator or bracket; mark tells which
)

// A jsToken is one token. Mark is the byte of a jsMark, except for '~', which
// stands for == != === !==, and '>' for => too; += is '+'. Of a jsChunk it tells
// which end it is of its literal: chunkFirst and chunkLast. (Four fields are the
// most that the compiler keeps in registers.)
type jsToken struct {
	start, end int
	kind       jsKind
	mark       byte
}

const (
	chunkFirst = 1 << iota // it opens its template literal
	chunkLast              // the literal ends behind it
)

func (t jsToken) opensChunk() bool  { return t.mark&chunkFirst != 0 }
func (t jsToken) closesChunk() bool { return t.mark&chunkLast != 0 }

// Brackets on the lexer's stack. A round bracket is more than a bracket: what
// stands before it tells a call from a condition.
const (
	groupParen   = '('
	controlParen = 'c' // of if, while, for, with: a regular expression may follow
	callParen    = 'f' // arguments of a call
	lookupParen  = 'l' // arguments of a call that only compares or shows them
	squareOpen   = '['
	curlyOpen    = '{'
	templateOpen = '`' // of ${
)

// A jsLexer cuts a script into tokens (ECMA-262 section 12, annex B.1.1), well
// enough to tell code from text. It never fails: what it cannot know it guesses,
// and says so in lost and cut.
type jsLexer struct {
	src   []byte
	pos   int
	stack []byte
	prev  jsToken // last token that is not a comment
	prev2 jsToken // the one before

	closedControl bool // the bracket closed last was a controlParen
	lineStart     bool // nothing but white space and comments since the line began
	guessed       bool // a slash was read one way that might have been the other
	lost          bool // the text cannot be what the lexer took it for
	cut           bool // the text ends inside a literal or comment
	functions     int  // functions seen, as a measure of program against data
}

// next returns the next token. Callers tell it about each with shift.
func (l *jsLexer) next() jsToken {
	src, i := l.src, l.pos
	for i < len(src) && jsClass[src[i]]&jsWord == 0 {
		n := spaceAt(src, i)
		if n == 0 {
			break
		}
		if src[i] == '\n' || src[i] == '\r' {
			l.lineStart = true
		}
		i += n
	}
	l.pos = i
	if i == len(src) {
		return jsToken{kind: jsEnd, start: i, end: i}
	}
	b := src[i]
	kind, mark := jsMark, b
	switch {
	case b-'0' < 10:
		kind = jsNumber
		l.pos = skipWord(src, i)
	case jsClass[b]&(jsWord|jsBeyond) != 0:
		kind = jsName
		l.pos = skipWord(src, i)
	case b == '\'' || b == '"':
		kind = jsString
		l.pos = l.quoted(i)
	case b == '`' || b == '}' && l.top() == templateOpen:
		kind, mark = jsChunk, l.chunk()
	case (b == '/' || b == '<' || b == '-') && l.comment():
		return jsToken{kind: jsComment, mark: mark, start: i, end: l.pos}
	case b == '/' && l.regexpMayStand() && l.regexp():
		kind = jsRegexp
	default:
		mark = l.mark()
	}
	l.lineStart = false
	return jsToken{kind: kind, mark: mark, start: i, end: l.pos}
}

// shift makes t the previous token and keeps the bracket stack.
func (l *jsLexer) shift(t jsToken) {
	if t.kind == jsComment {
		return
	}
	switch {
	case t.kind == jsMark:
		l.brackets(t)
	case t.kind == jsName && string(l.text(t)) == "function":
		l.functions++
	}
	l.prev2, l.prev = l.prev, t
}

func (l *jsLexer) text(t jsToken) []byte { return l.src[t.start:t.end] }

func (l *jsLexer) top() byte {
	if len(l.stack) == 0 {
		return 0
	}
	return l.stack[len(l.stack)-1]
}

// brackets pushes and pops. A bracket that closes another one means the lexer is
// lost, or the script cannot run anyway.
func (l *jsLexer) brackets(t jsToken) {
	switch t.mark {
	case '(':
		l.stack = append(l.stack, l.paren())
	case '[', '{':
		l.stack = append(l.stack, t.mark)
	case ')', ']', '}':
		top := l.top()
		ok := top == squareOpen && t.mark == ']' || top == curlyOpen && t.mark == '}'
		if t.mark == ')' {
			ok = top == groupParen || top == controlParen || top == callParen || top == lookupParen
			l.closedControl = top == controlParen
		}
		if !ok {
			l.lost = true
			return
		}
		l.stack = l.stack[:len(l.stack)-1]
	}
}

// paren tells the sort of the round bracket that follows the previous token.
func (l *jsLexer) paren() byte {
	switch {
	case l.prev.kind == jsName:
		name := l.text(l.prev)
		switch {
		case isLookup(name):
			return lookupParen
		case string(name) == "if", string(name) == "while", string(name) == "for", string(name) == "with":
			return controlParen
		case isOperatorWord(name), string(name) == "function", string(name) == "catch", string(name) == "switch":
			return groupParen
		}
		return callParen
	case l.prev.kind == jsMark && (l.prev.mark == ')' && !l.closedControl || l.prev.mark == ']'):
		return callParen
	}
	return groupParen
}

// quoted returns the end of the string literal that begins at i. A bare line
// break ends it: no string literal holds one.
func (l *jsLexer) quoted(i int) int {
	src, quote := l.src, l.src[i]
	for i++; i < len(src); i++ {
		if jsClass[src[i]]&jsText == 0 {
			continue
		}
		switch src[i] {
		case quote:
			return i + 1
		case '\\':
			i++
			if i+1 < len(src) && src[i] == '\r' && src[i+1] == '\n' {
				i++
			}
		case '\n', '\r':
			l.lost = true
			return i
		}
	}
	l.cut = true
	return len(src)
}

// chunk reads template text: from the opening back quote, or from the } of an
// inserted expression.
func (l *jsLexer) chunk() (mark byte) {
	if l.src[l.pos] == '`' {
		mark = chunkFirst
	} else {
		l.stack = l.stack[:len(l.stack)-1]
	}
	for i := l.pos + 1; i < len(l.src); i++ {
		switch l.src[i] {
		case '`':
			l.pos = i + 1
			return mark | chunkLast
		case '\\':
			i++
		case '$':
			if i+1 < len(l.src) && l.src[i+1] == '{' {
				l.stack = append(l.stack, templateOpen)
				l.pos = i + 2
				return mark
			}
		}
	}
	l.cut = true
	l.pos = len(l.src)
	return mark
}

// comment skips a comment, if one begins here. <!-- and, at the beginning of a
// line, --> begin one too (ECMA-262 annex B.1.1); they do not in modules, where
// no one writes them.
func (l *jsLexer) comment() bool {
	rest := l.src[l.pos:]
	switch {
	case bytes.HasPrefix(rest, []byte("/*")):
		k := bytes.Index(rest[2:], []byte("*/"))
		if k < 0 {
			l.cut = true
			l.pos = len(l.src)
			return true
		}
		l.lineStart = l.lineStart || bytes.IndexByte(rest[:k+2], '\n') >= 0
		l.pos += k + 4
		return true
	case bytes.HasPrefix(rest, []byte("//")),
		bytes.HasPrefix(rest, []byte("<!--")),
		l.lineStart && bytes.HasPrefix(rest, []byte("-->")):
		k := bytes.IndexAny(rest, "\n\r\u2028\u2029")
		if k < 0 {
			k = len(rest)
		}
		l.pos += k
		return true
	}
	return false
}

// regexpMayStand tells whether a slash here begins a regular expression rather
// than divides.
func (l *jsLexer) regexpMayStand() bool {
	switch l.prev.kind {
	case jsEnd:
		return true
	case jsChunk:
		return !l.prev.closesChunk()
	case jsName:
		return isOperatorWord(l.text(l.prev))
	case jsMark:
		switch l.prev.mark {
		case ')':
			return l.closedControl
		case ']', '.':
			return false
		case '}':
			l.guessed = true // end of a block, or of an object
			return true
		case '+', '-':
			if l.prev2.kind == jsMark && l.prev2.mark == l.prev.mark && l.prev2.end == l.prev.start {
				l.guessed = true // i++ / 2, or a + +/x/
				return false
			}
		}
		return true
	}
	return false
}

// regexp reads a regular expression, if the line holds one. Not even a backslash
// takes one over the end of the line.
func (l *jsLexer) regexp() bool {
	class, escaped := false, false
	for i := l.pos + 1; i < len(l.src); i++ {
		b := l.src[i]
		switch {
		case b == '\n' || b == '\r':
			l.guessed = true
			return false
		case escaped:
			escaped = false
		case b == '\\':
			escaped = true
		case b == '[':
			class = true
		case b == ']':
			class = false
		case b == '/' && !class:
			l.pos = skipWord(l.src, i+1)
			return true
		}
	}
	l.guessed = true
	return false
}

// mark reads an operator or bracket.
func (l *jsLexer) mark() (mark byte) {
	src, i := l.src, l.pos
	at := func(k int) byte {
		if i+k < len(src) {
			return src[i+k]
		}
		return 0
	}
	n := 1
	mark = src[i]
	switch b := mark; {
	case (b == '=' || b == '!') && at(1) == '=':
		mark, n = '~', 2
		if at(2) == '=' {
			n = 3
		}
	case b == '=' && at(1) == '>':
		mark, n = '>', 2
		l.functions++
	case (b == '<' || b == '>' || b == '+') && at(1) == '=':
		n = 2
	}
	l.pos += n
	return mark
}

// Classes of the bytes of a script.
const (
	jsWord   = 1 << iota // of names and numbers
	jsBeyond             // of names, unless it begins a white space character
	jsText               // in a string literal, ends or escapes something
)

var jsClass = func() (t [256]uint8) {
	for c := range t {
		switch b := byte(c); {
		case isNameByte(b) || b == '\\':
			t[c] = jsWord
		case b >= 0x80 || b == 0: // a NUL stands for U+FFFD
			t[c] = jsBeyond
		}
	}
	for _, c := range "'\"\\\n\r" {
		t[c] |= jsText
	}
	return t
}()

// skipWord returns the end of the name or number that has begun before i.
func skipWord(src []byte, i int) int {
	for i < len(src) {
		if c := jsClass[src[i]]; c&jsWord == 0 && (c&jsBeyond == 0 || spaceAt(src, i) > 0) {
			break
		}
		i++
	}
	return i
}

// isOperatorWord tells the keywords behind which an expression begins.
func isOperatorWord(name []byte) bool {
	switch string(name) {
	case "return", "typeof", "case", "in", "of", "delete", "void", "instanceof", "new", "do", "else", "throw", "yield", "await", "default":
		return true
	}
	return false
}
