package policy

import (
	"strings"
)

// An inlineShape says where in a script a signature has to stand to mean what it
// says. It follows from the signature's text alone.
type inlineShape uint8

const (
	// codeShape is a piece of program text, such as f._fbq or
	// 'gtm.start':newDate().getTime(): it begins in code.
	codeShape inlineShape = iota
	// literalShape is one whole string literal, such as 'facebook-jssdk'.
	literalShape
	// addressShape is a piece of a URL, a file name or an attribute name: it
	// stands inside a string.
	addressShape
)

// An inlinePattern is one signature, made ready to be compared with raw script
// text.
type inlinePattern struct {
	text   string      // as in the catalog: no white space, single quotes
	vendor int         // index into inlineMatcher.vendors
	loader bool        // it fetches the vendor; otherwise it only calls its global
	shape  inlineShape //
	gap    []bool      // gap[i]: white space may stand between text[i-1] and text[i]
	anchor int         // where in text the bytes begin that the scan looks for
	tight  bool        // the scan misses white space inside the anchor
}

// newInlinePattern compiles a signature. ok is false if the text has no three
// bytes in a row that are free of quotes and slashes, with one more behind them;
// such a text is too short to say anything.
func newInlinePattern(text string, vendor int, loader bool) (p inlinePattern, ok bool) {
	p = inlinePattern{text: text, vendor: vendor, loader: loader, shape: shapeOf(text)}
	p.gap = gapsOf(text, p.shape)
	return p, p.setAnchor()
}

// shapeOf tells the shape of a signature. Addresses are made of URL characters
// alone, with perhaps the closing quote of their literal, and have a slash, a
// hyphen or an ending that no property of a program has.
func shapeOf(text string) inlineShape {
	inner := strings.Trim(text, "'")
	if len(inner)+2 == len(text) && !strings.Contains(inner, "'") {
		return literalShape
	}
	body := strings.TrimSuffix(text, "'")
	for i := 0; i < len(body); i++ {
		if !isNameByte(body[i]) && !strings.ContainsRune("./:?&=#%-~+@{", rune(body[i])) {
			return codeShape
		}
	}
	last := body[strings.LastIndexByte(body, '.')+1:]
	switch {
	case strings.Contains(body, "/"):
		return addressShape
	case last == "js", last == "com", last == "net", last == "org", last == "io":
		return addressShape
	case strings.Contains(body, "-") && !strings.ContainsAny(body, "=+."):
		return addressShape
	case strings.Count(body, ".") > 1 && last != "" && body == strings.ToLower(body) && !strings.ContainsAny(body, "_=+-"):
		return addressShape // a host name of three labels or more
	}
	return codeShape
}

// gapsOf tells between which bytes of a signature white space may stand in a
// script: between tokens of code, never inside a name, a literal or an address.
func gapsOf(text string, shape inlineShape) []bool {
	gap := make([]bool, len(text))
	if shape != codeShape {
		return gap
	}
	quoted := false
	for i := 1; i < len(text); i++ {
		if text[i-1] == '\'' {
			quoted = !quoted
		}
		gap[i] = !quoted && (!isNameByte(text[i-1]) || !isNameByte(text[i]))
	}
	// White space was taken out behind these words too: "newDate" was "new Date".
	for _, word := range [...]string{"new", "function", "var", "let", "const", "return", "typeof"} {
		for from := 0; ; {
			i := strings.Index(text[from:], word)
			if i < 0 {
				break
			}
			i += from
			from = i + len(word)
			if (i == 0 || !isNameByte(text[i-1])) && from < len(text) && isNameByte(text[from]) {
				gap[from] = true
			}
		}
	}
	return gap
}

// foldBit makes ASCII letters lower case. What it does to other bytes only costs
// the scan a needless look.
const foldBit = 0x20

// locate checks whether the pattern stands in code with its byte from at byte at,
// and returns the bytes it covers. What stands in front is compared first: common
// words are at the end of many signatures.
func (p *inlinePattern) locate(code []byte, at, from int) (start, end int, ok bool) {
	fold := p.shape == addressShape
	start = at
	for k := from - 1; k >= 0; k-- {
		c := p.text[k]
		if start > 0 && code[start-1] == c && c != '/' && c != '\'' {
			start--
			continue
		}
		if p.gap[k+1] {
			for n := spaceBefore(code, start); n > 0; n = spaceBefore(code, start) {
				start -= n
			}
		}
		n := widthBefore(code, start, c, fold)
		if n == 0 {
			return 0, 0, false
		}
		start -= n
	}
	end = at
	for k := from; k < len(p.text); k++ {
		c := p.text[k]
		if end < len(code) && code[end] == c {
			end++
			continue
		}
		if k > from && p.gap[k] {
			for n := spaceAt(code, end); n > 0; n = spaceAt(code, end) {
				end += n
			}
		}
		n := widthAt(code, end, c, fold)
		if n == 0 {
			return 0, 0, false
		}
		end += n
	}
	if !p.bordered(code, start, end) {
		return 0, 0, false
	}
	return start, end, true
}

// bordered tells whether a code signature is not just the tail of a longer name
// (selfie_fbq), nor the beginning of a comparison where it wants an assignment.
func (p *inlinePattern) bordered(code []byte, start, end int) bool {
	if p.shape == addressShape {
		return true
	}
	if isNameByte(p.text[0]) && start > 0 && isNameByte(code[start-1]) {
		return false
	}
	if p.text[len(p.text)-1] == '=' && end < len(code) && (code[end] == '=' || code[end] == '>') {
		return false
	}
	return true
}

// widthAt returns how many bytes at code[i:] write the signature byte c, zero if
// they write something else. Quotes of all three kinds are one; slashes, quotes
// and other marks may be escaped, more than once in strings within strings.
func widthAt(code []byte, i int, c byte, fold bool) int {
	if i >= len(code) {
		return 0
	}
	b := code[i]
	if b == '\\' {
		if got, n := escapeAt(code, i); n > 0 {
			if sameByte(got, c, fold) {
				return n
			}
			return 0
		}
		if c != '/' && c != '\'' {
			return 0
		}
		j := i
		for j < len(code) && code[j] == '\\' {
			j++
		}
		if j < len(code) && sameByte(code[j], c, false) {
			return j + 1 - i
		}
		return 0
	}
	if sameByte(b, c, fold) {
		return 1
	}
	return 0
}

// widthBefore is widthAt for the bytes that end at code[:i].
func widthBefore(code []byte, i int, c byte, fold bool) int {
	if i == 0 {
		return 0
	}
	if sameByte(code[i-1], c, fold) {
		j := i - 1
		if c == '/' || c == '\'' {
			for j > 0 && code[j-1] == '\\' {
				j--
			}
		}
		return i - j
	}
	for _, n := range [...]int{4, 6} {
		if i >= n && code[i-n] == '\\' {
			if got, w := escapeAt(code, i-n); w == n && sameByte(got, c, fold) {
				return n
			}
		}
	}
	return 0
}

// sameByte compares a byte of a script with one of a signature.
func sameByte(b, c byte, fold bool) bool {
	switch {
	case b == c:
		return true
	case c == '\'':
		return b == '"' || b == '`'
	case fold && b >= 'A' && b <= 'Z':
		return b|foldBit == c|foldBit
	case fold && c >= 'A' && c <= 'Z':
		return b == c|foldBit
	}
	return false
}

// isNameByte tells the ASCII bytes that names are made of.
func isNameByte(b byte) bool {
	return b|foldBit-'a' < 26 && b >= 'A' || b-'0' < 10 || b == '_' || b == '$'
}
