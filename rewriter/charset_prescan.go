package rewriter

import (
	"bytes"
	"strings"
)

// prescanCharset looks for a declared encoding in the first bytes of a page
// (HTML, section 13.2.3.2, "prescan a byte stream to determine its encoding")
// and returns its canonical label, or "". It reads all of b: beyond
// PrescanBytes only the page's head, as Chromium does. more reports, if there is
// none, whether what follows b would be looked at too.
func prescanCharset(b []byte) (label string, more bool) {
	switch {
	case bytes.HasPrefix(b, []byte("<\x00?\x00x\x00")):
		return "utf-16le", false
	case bytes.HasPrefix(b, []byte("\x00<\x00?\x00x")):
		return "utf-16be", false
	}
	p := prescanner{b: b}
	for p.pos < len(b) {
		label, done := p.next()
		if label != "" {
			return label, false
		}
		if done {
			break
		}
	}
	label = xmlCharset(b[:min(len(b), PrescanBytes)])
	return label, label == "" && (len(b) < PrescanBytes || !p.body || p.cut)
}

type prescanner struct {
	b    []byte
	pos  int
	raw  int  // end of the text of a script or the like that was entered last
	body bool // the page's head is over
	cut  bool // a meta element is cut off by the end of b
}

// next handles what stands at the current position. done ends the scan.
func (p *prescanner) next() (label string, done bool) {
	if p.pos >= PrescanBytes && p.pos < p.raw {
		// Beyond the standard's reach a script's strings must not count as tags.
		p.pos = p.raw
		return "", false
	}
	if p.pos >= PrescanBytes && p.body {
		return "", true
	}
	i := bytes.IndexByte(p.b[p.pos:], '<')
	if i < 0 {
		return "", true
	}
	if i > 0 {
		p.pos += i
		return "", false
	}
	rest := p.b[p.pos:]
	switch {
	case bytes.HasPrefix(rest, []byte("<!--")):
		// The dashes that open a comment may also close it.
		end := bytes.Index(rest[2:], []byte("-->"))
		if end < 0 {
			return "", true
		}
		p.pos += 2 + end + 3
	case len(rest) > 5 && headerFold(string(rest[:5]), "<meta") && (mimeSpace(rest[5]) || rest[5] == '/'):
		p.pos += 5
		label := p.meta()
		return label, label != ""
	case len(rest) > 1 && asciiLetter(rest[1]), len(rest) > 2 && rest[1] == '/' && asciiLetter(rest[2]):
		p.tag()
	case len(rest) > 1 && (rest[1] == '!' || rest[1] == '/' || rest[1] == '?'):
		end := bytes.IndexByte(rest, '>')
		if end < 0 {
			return "", true
		}
		p.pos += end + 1
	default:
		p.pos++
	}
	return "", false
}

func asciiLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// headTags are the elements that may stand in a page's head.
const headTags = " html head base link meta noscript object script style title template "

// tag passes over a tag that is no meta.
func (p *prescanner) tag() {
	inText := p.pos < p.raw // a tag to the standard only
	end := p.pos + 1
	closing := p.b[end] == '/'
	if closing {
		end++
	}
	nameStart := end
	for end < len(p.b) && !mimeSpace(p.b[end]) && p.b[end] != '>' && p.b[end] != '/' {
		end++
	}
	name := strings.ToLower(string(p.b[nameStart:end]))
	p.pos = end
	if end == len(p.b) {
		return // more of the name may follow
	}
	if !strings.Contains(headTags, " "+name+" ") || closing && (name == "head" || name == "html") {
		p.body = p.body || !inText
	}
	for {
		if _, _, ok := p.attribute(); !ok {
			break
		}
	}
	if !closing && (name == "script" || name == "style" || name == "title") {
		p.raw = p.pos + indexFold(p.b[p.pos:], "</"+name)
	}
}

// indexFold returns the position of the lower-case ASCII text in b whatever
// the case, or len(b).
func indexFold(b []byte, text string) int {
	for i := 0; i+len(text) <= len(b); i++ {
		j := bytes.IndexByte(b[i:], text[0])
		if j < 0 {
			break
		}
		if i += j; i+len(text) <= len(b) && headerFold(string(b[i:i+len(text)]), text) {
			return i
		}
	}
	return len(b)
}

// meta reads the attributes of a meta element and returns the encoding it
// declares, or "".
func (p *prescanner) meta() string {
	var seen []string
	gotPragma, needPragma := false, false
	found, label := false, ""
	for {
		name, value, ok := p.attribute()
		if !ok {
			break
		}
		if containsString(seen, name) {
			continue
		}
		seen = append(seen, name)
		switch name {
		case "http-equiv":
			gotPragma = value == "content-type"
		case "content":
			if l := contentCharset(value); l != "" && !found {
				found, label, needPragma = true, l, true
			}
		case "charset":
			found, label, needPragma = true, charsetLabel(value), false
		}
	}
	p.cut = p.pos >= len(p.b)
	if p.cut || !found || needPragma && !gotPragma {
		return ""
	}
	return declaredInASCII(label)
}

func containsString(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

// declaredInASCII corrects declarations that cannot be true, as they were read
// as ASCII.
func declaredInASCII(label string) string {
	switch label {
	case "utf-16be", "utf-16le":
		return "utf-8"
	case "x-user-defined":
		return "windows-1252"
	}
	return label
}

// attribute is the standard's "get an attribute". Name and value come in lower
// case. Attributes that the end of the bytes cuts off do not count.
func (p *prescanner) attribute() (name, value string, ok bool) {
	for p.pos < len(p.b) && (mimeSpace(p.b[p.pos]) || p.b[p.pos] == '/') {
		p.pos++
	}
	start := p.pos
	for p.pos < len(p.b) {
		c := p.b[p.pos]
		if c == '=' && p.pos > start || mimeSpace(c) || c == '/' || c == '>' {
			break
		}
		p.pos++
	}
	if p.pos == start || p.pos >= len(p.b) {
		return "", "", false
	}
	name = strings.ToLower(string(p.b[start:p.pos]))
	p.spaces()
	if p.pos >= len(p.b) {
		return "", "", false
	}
	if p.b[p.pos] != '=' {
		return name, "", true
	}
	p.pos++
	p.spaces()
	value, ok = p.value()
	return name, value, ok
}

func (p *prescanner) spaces() {
	for p.pos < len(p.b) && mimeSpace(p.b[p.pos]) {
		p.pos++
	}
}

func (p *prescanner) value() (string, bool) {
	if p.pos >= len(p.b) {
		return "", false
	}
	if quote := p.b[p.pos]; quote == '"' || quote == '\'' {
		n := bytes.IndexByte(p.b[p.pos+1:], quote)
		if n < 0 {
			p.pos = len(p.b)
			return "", false
		}
		value := p.b[p.pos+1 : p.pos+1+n]
		p.pos += n + 2
		return strings.ToLower(string(value)), true
	}
	start := p.pos
	for p.pos < len(p.b) && !mimeSpace(p.b[p.pos]) && p.b[p.pos] != '>' {
		p.pos++
	}
	if p.pos >= len(p.b) {
		return "", false
	}
	return strings.ToLower(string(p.b[start:p.pos])), true
}

// contentCharset is the standard's "extracting a character encoding from a meta
// element", on a value in lower case.
func contentCharset(s string) string {
	for {
		_, after, ok := strings.Cut(s, "charset")
		if !ok {
			return ""
		}
		s = strings.TrimLeft(after, "\t\n\f\r ")
		if value, ok := strings.CutPrefix(s, "="); ok {
			s = strings.TrimLeft(value, "\t\n\f\r ")
			break
		}
	}
	if s == "" {
		return ""
	}
	if s[0] == '"' || s[0] == '\'' {
		end := strings.IndexByte(s[1:], s[0])
		if end < 0 {
			return ""
		}
		return charsetLabel(s[1 : 1+end])
	}
	if end := strings.IndexAny(s, "\t\n\f\r ;"); end >= 0 {
		s = s[:end]
	}
	return charsetLabel(s)
}

// xmlCharset is the standard's "get an XML encoding".
func xmlCharset(b []byte) string {
	if !bytes.HasPrefix(b, []byte("<?xml")) {
		return ""
	}
	end := bytes.IndexByte(b, '>')
	if end < 0 {
		return ""
	}
	_, s, ok := strings.Cut(string(b[:end]), "encoding")
	if !ok {
		return ""
	}
	s = trimControls(s)
	if s == "" || s[0] != '=' {
		return ""
	}
	s = trimControls(s[1:])
	if s == "" || s[0] != '"' && s[0] != '\'' {
		return ""
	}
	n := strings.IndexByte(s[1:], s[0])
	if n < 0 {
		return ""
	}
	label := s[1 : 1+n]
	if strings.IndexFunc(label, func(r rune) bool { return r <= ' ' }) >= 0 {
		return ""
	}
	return declaredInASCII(charsetLabel(label))
}

// trimControls removes leading bytes up to U+0020.
func trimControls(s string) string {
	for s != "" && s[0] <= ' ' {
		s = s[1:]
	}
	return s
}
