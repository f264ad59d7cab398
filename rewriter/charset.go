package rewriter

import (
	"bytes"
	"net/http"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/htmlindex"
)

// PrescanBytes is the number of first bytes in which all browsers look for a
// declared encoding (HTML, section 13.2.3.2). Chromium goes on looking in the
// page's head: [CharsetMore] tells when that can still matter.
const PrescanBytes = 1024

// fallbackCharset is what browsers read unlabelled pages as.
const fallbackCharset = "windows-1252"

// Charset returns the canonical label (Encoding standard, in lower case) of a
// page's encoding, by the order of the HTML standard, section 13.2.3: byte order
// mark, Content-Type, declaration in the first bytes. whole says that first is
// all of the page.
//
// Without a declaration its first characters beyond ASCII tell: UTF-8, or else
// windows-1252, which is what browsers fall back to. If there are none either, a
// whole page is windows-1252, and any other UTF-8: its declaration may be still
// to come, and among pages without one UTF-8 is the likelier by far.
//
// ok is false for the encodings in which the bytes of markup are not those of
// ASCII: UTF-16, ISO-2022-JP and "replacement". A page in these cannot be
// rewritten. In all others no byte of a character is one of <>"'=&/ or a blank
// unless it stands for itself.
func Charset(h http.Header, first []byte, whole bool) (label string, ok bool) {
	label, _ = declaredCharset(h, first)
	if label == "" {
		label = guessCharset(first)
	}
	switch {
	case label != "":
	case whole:
		label = fallbackCharset
	default:
		label = "utf-8"
	}
	switch label {
	case "utf-16be", "utf-16le", "iso-2022-jp", "replacement":
		return label, false
	}
	return label, true
}

// CharsetMore reports whether more bytes of the page could make [Charset] answer
// otherwise, by a declaration where browsers look for one, or, if that place is
// behind, by the first character beyond ASCII. Pages without either would have to
// be held as a whole, so it is for the caller to set a bound.
func CharsetMore(h http.Header, first []byte) bool {
	label, more := declaredCharset(h, first)
	return label == "" && (more || guessCharset(first) == "")
}

// declaredCharset returns the declared encoding, "" if there is none; more says
// that it may be still to come.
func declaredCharset(h http.Header, first []byte) (label string, more bool) {
	switch {
	case bytes.HasPrefix(first, []byte("\xEF\xBB\xBF")):
		return "utf-8", false
	case bytes.HasPrefix(first, []byte("\xFE\xFF")):
		return "utf-16be", false
	case bytes.HasPrefix(first, []byte("\xFF\xFE")):
		return "utf-16le", false
	}
	if label := headerCharset(h); label != "" {
		return label, false
	}
	return prescanCharset(first)
}

// guessCharset tells from the characters beyond ASCII in b, which may be cut
// anywhere, what it is encoded in; "" if there are none.
func guessCharset(b []byte) string {
	label := ""
	for len(b) > 0 {
		if b[0] < utf8.RuneSelf {
			b = b[1:]
			continue
		}
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			if utf8.FullRune(b) {
				return fallbackCharset
			}
			break
		}
		label = "utf-8"
		b = b[n:]
	}
	return label
}

// charsetLabel returns the canonical name of the encoding that the label
// stands for, "" if it stands for none (Encoding standard, section 4.2, "get an
// encoding").
func charsetLabel(label string) string {
	label = strings.Trim(label, "\t\n\f\r ")
	for i := 0; i < len(label); i++ {
		// The table folds and trims by Unicode, which would let in labels that
		// browsers do not know.
		if label[i] <= ' ' || label[i] >= 0x7f {
			return ""
		}
	}
	e, err := htmlindex.Get(label)
	if err != nil || e == nil {
		return ""
	}
	name, err := htmlindex.Name(e)
	if err != nil {
		return ""
	}
	return name
}

// headerCharset returns the encoding Content-Type declares, "" if none: of
// several members the last one with the winning type counts (Fetch, section
// 2.2.2).
func headerCharset(h http.Header) string {
	essence, label := "", ""
	eachMediaType(h, func(m mediaType) {
		if m.essence != essence {
			essence, label = m.essence, ""
		}
		eachParameter(m.params, func(p parameter) bool {
			if p.name == "charset" && p.value != "" {
				label = p.value
				return false
			}
			return true
		})
	})
	return charsetLabel(label)
}

// A parameter is one parameter of a media type.
type parameter struct {
	raw   string // between two ";", trimmed
	name  string // lower-case
	value string // without the quotes
}

// eachParameter calls f for the parameters of a media type, which begin with
// ";", until it returns false. It reads them as MIME Sniffing, section 4.4, does:
// what is no parameter is reported without a name.
func eachParameter(params string, f func(parameter) bool) {
	if params == "" {
		return
	}
	params = params[1:]
	more := true
	splitHeaderList(params, ';', false, func(start, end int, _ bool) {
		p := parameter{raw: headerTrim(params[start:end])}
		if !more || p.raw == "" {
			return
		}
		if name, value, ok := strings.Cut(p.raw, "="); ok {
			p.name = strings.ToLower(headerTrim(name))
			p.value = parameterValue(headerTrim(value))
		}
		more = f(p)
	})
}

// parameterValue removes the quotes and backslashes of a quoted string; what
// follows it, or a missing closing quote, is ignored. A value that does not
// begin with a quote is taken as it is.
func parameterValue(s string) string {
	if s == "" || s[0] != '"' {
		return s
	}
	var out []byte
	for i := 1; i < len(s) && s[i] != '"'; i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		out = append(out, s[i])
	}
	return string(out)
}

// PinCharset makes Content-Type state the encoding a page was judged in, so that
// a declaration further down cannot change it: what the header says wins over
// all but a byte order mark. A header that says so already, in a way nobody reads
// differently, stays as it is. Otherwise it becomes one line with the type
// browsers settle on and its other parameters; without a type, text/html.
func PinCharset(h http.Header, label string) {
	lines := h["Content-Type"]
	if len(lines) == 1 && pinsCharset(lines[0], label) {
		return
	}
	winner := mediaType{essence: "text/html"}
	eachMediaType(h, func(m mediaType) { winner = m })
	var b strings.Builder
	b.WriteString(winner.essence)
	// First, as it could end up inside an unclosed quote otherwise.
	b.WriteString("; charset=")
	b.WriteString(label)
	eachParameter(winner.params, func(p parameter) bool {
		if p.name != "" && p.name != "charset" {
			b.WriteString("; ")
			b.WriteString(p.raw)
		}
		return true
	})
	h["Content-Type"] = []string{b.String()}
}

// pinsCharset reports whether the line is one plain type with exactly one
// charset parameter that stands for label.
func pinsCharset(line, label string) bool {
	m, ok := cutMediaType(line)
	if !ok || strings.Contains(line, ",") || len(headerTrim(line)) != len(m.essence)+len(m.params) {
		return false
	}
	found, plain := 0, true
	eachParameter(m.params, func(p parameter) bool {
		if p.name == "charset" {
			found++
			raw := p.raw[len("charset"):]
			plain = plain && charsetLabel(p.value) == label && (raw == "="+p.value || raw == `="`+p.value+`"`)
		}
		plain = plain && p.name != ""
		return true
	})
	return found == 1 && plain
}
