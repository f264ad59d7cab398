package api

import (
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxReturnTo is the length in bytes of the longest path to return to.
const maxReturnTo = 2048

// returnPath checks a path (with query and fragment, if any) the visitor is to be
// sent to, and returns it ready for a Location field: characters beyond ASCII and
// spaces percent-encoded, else unchanged.
//
// Only a path of this site will do. A second "/" or a "\" would make the
// browser read a host; so would a TAB or line break before it, as browsers remove
// those from a URL before parsing it (WHATWG URL, section 4.4). Dot segments and
// the percent-encoded forms are refused as well, for the sake of proxies that
// resolve them in a Location.
func (h *Handler) returnPath(s string) (string, bool) {
	s, ok := encodePath(s)
	if !ok || len(s) > maxReturnTo || !strings.HasPrefix(s, "/") {
		return "", false
	}
	path := decodePath(cutAny(s, "?#"))
	if strings.HasPrefix(path, "//") || strings.Contains(path, `\`) || hasControl(path) || hasDotSegment(path) {
		return "", false
	}
	// The choice endpoint answers no GET: a visitor sent there is stuck.
	if rest, ok := strings.CutPrefix(path, h.choice); ok && (rest == "" || rest[0] == '/') {
		return "", false
	}
	return s, true
}

// encodePath percent-encodes spaces and what is beyond ASCII. It fails on control
// characters, backslashes and invalid UTF-8.
func encodePath(s string) (string, bool) {
	var b strings.Builder
	for _, c := range s {
		switch {
		case c == '\\', c == utf8.RuneError, unicode.IsControl(c):
			return "", false
		case c > ' ' && c < utf8.RuneSelf:
			b.WriteRune(c)
		default:
			for _, x := range []byte(string(c)) {
				b.WriteByte('%')
				b.WriteByte("0123456789ABCDEF"[x>>4])
				b.WriteByte("0123456789ABCDEF"[x&15])
			}
		}
	}
	return b.String(), true
}

// decodePath undoes percent-encoding. As in browsers, a "%" without two
// hexadecimal digits stands for itself.
func decodePath(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, ok1 := unhex(s[i+1])
			lo, ok2 := unhex(s[i+2])
			if ok1 && ok2 {
				b = append(b, hi<<4|lo)
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

func unhex(b byte) (byte, bool) {
	switch {
	case '0' <= b && b <= '9':
		return b - '0', true
	case 'a' <= b|0x20 && b|0x20 <= 'f':
		return b | 0x20 - 'a' + 10, true
	}
	return 0, false
}

func hasControl(s string) bool {
	return strings.IndexFunc(s, unicode.IsControl) >= 0
}

func hasDotSegment(path string) bool {
	for seg := range strings.SplitSeq(path, "/") {
		if seg == "." || seg == ".." {
			return true
		}
	}
	return false
}

// cutAny returns s up to the first byte that is in chars.
func cutAny(s, chars string) string {
	if i := strings.IndexAny(s, chars); i >= 0 {
		return s[:i]
	}
	return s
}

// refererPath returns the page of this site the visitor came from, "/" if unknown.
func (h *Handler) refererPath(r *http.Request, s site) string {
	rest, ok := strings.CutPrefix(r.Header.Get("Referer"), s.origin)
	if !ok || strings.HasPrefix(rest, h.o.Prefix) {
		return "/"
	}
	if path, ok := h.returnPath(rest); ok {
		return path
	}
	return "/"
}
