package rewriter

import (
	"bytes"
	"strings"

	"github.com/nlnwa/whatwg-url/url"

	"github.com/consentgate/consentgate/policy"
	"github.com/consentgate/consentgate/rewriter/internal/scan"
)

// A urlClass says what a browser would do with an attribute's URL.
type urlClass uint8

const (
	urlBad    urlClass = iota // not a URL for us; treated as somebody else's
	urlEmpty                  // names the document itself; nothing is fetched
	urlNet                    // fetched from the network: Location is filled
	urlData                   // data: carries its own content
	urlScript                 // javascript: runs its own content
	urlLocal                  // about:, blob:, mailto: and other schemes that fetch nothing from a third party
)

// A baseURL resolves URL references against the page's URL or its first
// <base href> (WHATWG URL standard; HTML standard, section 2.4.3).
type baseURL struct {
	scheme, host, path string
	full               string // for the slow path: scheme://host/path
	set                bool   // a <base href> was seen; later ones do not count
	scratch            []byte
}

// parser is the slow path for whatever the fast path does not understand. Lax
// host code points would widen what counts as a host, so the default parser,
// which follows the standard, is used.
var parser = url.NewParser()

func (b *baseURL) reset(scheme, host, path string) {
	if scheme == "" {
		scheme = "https"
	}
	if path == "" || path[0] != '/' {
		path = "/" + path
	}
	// A browser may ask for "site.test.", and other clients for "Site.TEST".
	b.scheme, b.host, b.path, b.set = scheme, trimDot(strings.ToLower(hostOnly(host))), path, false
	b.full = scheme + "://" + host + path
}

// hostOnly cuts the port off a host as a request names it.
func hostOnly(host string) string {
	for i := len(host) - 1; i >= 0; i-- {
		switch c := host[i]; {
		case c == ':':
			return host[:i]
		case c == ']' || c < '0' || c > '9':
			return host
		}
	}
	return host
}

// rebase follows the page's first <base href>.
func (b *baseURL) rebase(href []byte) {
	if b.set {
		return
	}
	b.set = true
	u, err := parser.ParseRef(b.full, string(href))
	if err != nil || u.Scheme() != "http" && u.Scheme() != "https" {
		return
	}
	b.scheme, b.host, b.path = u.Scheme(), trimDot(u.Hostname()), u.Pathname()
	b.full = u.Href(true)
}

// hostByte marks the bytes of a host that means itself: no escapes, no upper
// case, nothing IDNA would map.
var hostByte = func() (t [256]bool) {
	for c := range t {
		t[c] = 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_'
	}
	return t
}()

// plainByte marks the bytes of a path or query that need no parser: it copies
// them, or writes them in percent escapes, which changes nothing a rule looks
// at. Controls are different, some are dropped; a backslash is a slash.
var plainByte = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= ' ' && c != '\\'
	}
	return t
}()

// resolve parses the decoded attribute value raw. loc is valid until the next
// call.
func (b *baseURL) resolve(raw []byte, loc *policy.Location) urlClass {
	raw = trimControl(raw)
	if len(raw) == 0 {
		return urlEmpty
	}
	if raw[0] == '#' {
		return urlEmpty
	}
	rest := raw
	scheme := b.scheme
	switch {
	case scan.HasPrefixFold(raw, "https://"):
		rest, scheme = raw[len("https:"):], "https"
	case scan.HasPrefixFold(raw, "http://"):
		rest, scheme = raw[len("http:"):], "http"
	case scan.HasPrefixFold(raw, "data:"):
		return urlData
	case scan.HasPrefixFold(raw, "about:"):
		return urlLocal
	case raw[0] == '/' || !hasScheme(raw):
	default:
		return b.slow(raw, loc)
	}
	if len(rest) >= 2 && rest[0] == '/' && rest[1] == '/' {
		if b.absolute(rest[2:], scheme, loc) {
			return urlNet
		}
		return b.slow(raw, loc)
	}
	if b.relative(rest, loc) {
		return urlNet
	}
	return b.slow(raw, loc)
}

// absolute is the fast path for "//host/path?query".
func (b *baseURL) absolute(s []byte, scheme string, loc *policy.Location) bool {
	i := 0
	for i < len(s) && hostByte[s[i]] {
		i++
	}
	host := s[:i]
	if len(host) == 0 || !nameHost(host) {
		return false
	}
	s = s[i:]
	if len(s) > 0 && s[0] == ':' {
		for i = 1; i < len(s) && '0' <= s[i] && s[i] <= '9'; i++ {
		}
		if i > 6 {
			return false
		}
		s = s[i:]
	}
	if len(s) > 0 && s[0] != '/' && s[0] != '?' && s[0] != '#' {
		return false
	}
	path, query, ok := split(s)
	if !ok {
		return false
	}
	if len(path) == 0 {
		path = rootPath
	}
	if host[len(host)-1] == '.' {
		host = host[:len(host)-1]
	}
	*loc = policy.Location{Scheme: append(b.scratch[:0], scheme...), Host: host, Path: path, Query: query}
	b.scratch = loc.Scheme
	return true
}

var rootPath = []byte("/")

// relative is the fast path for a reference without scheme and host.
func (b *baseURL) relative(s []byte, loc *policy.Location) bool {
	path, query, ok := split(s)
	if !ok || len(path) > 1 && path[0] == '/' && path[1] == '/' {
		return false
	}
	buf := append(b.scratch[:0], b.scheme...)
	buf = append(buf, b.host...)
	n := len(buf)
	switch {
	case len(path) == 0:
		buf = append(buf, b.path...)
	case path[0] == '/':
		buf = append(buf, path...)
	default:
		dir := b.path
		for len(dir) > 0 && dir[len(dir)-1] != '/' {
			dir = dir[:len(dir)-1]
		}
		buf = append(buf, dir...)
		buf = append(buf, path...)
	}
	b.scratch = buf
	s0, h0 := len(b.scheme), len(b.scheme)+len(b.host)
	*loc = policy.Location{Scheme: buf[:s0], Host: buf[s0:h0], Path: buf[n:], Query: query}
	return true
}

// split cuts "path?query#fragment" and refuses what the parser would change.
func split(s []byte) (path, query []byte, ok bool) {
	i := 0
	for i < len(s) && s[i] != '?' && s[i] != '#' {
		if !plainByte[s[i]] {
			return nil, nil, false
		}
		if s[i] == '.' && (i == 0 || s[i-1] == '/') || s[i] == '%' && i+2 < len(s) && s[i+1] == '2' && s[i+2]|0x20 == 'e' {
			return nil, nil, false // a dot segment, perhaps
		}
		i++
	}
	path = s[:i]
	if i < len(s) && s[i] == '?' {
		s = s[i+1:]
		for i = 0; i < len(s) && s[i] != '#'; i++ {
			if !plainByte[s[i]] {
				return nil, nil, false
			}
		}
		query = s[:i]
	}
	return path, query, true
}

// nameHost reports whether host is a domain name in normal form: no empty label
// but a last one, and no number at its end, which would make it an address.
func nameHost(host []byte) bool {
	if host[len(host)-1] == '.' {
		host = host[:len(host)-1]
	}
	if len(host) == 0 || host[0] == '.' || bytes.Contains(host, []byte("..")) {
		return false
	}
	if bytes.Contains(host, []byte("xn--")) {
		return false
	}
	last := host[bytes.LastIndexByte(host, '.')+1:]
	return len(last) > 0 && (last[0] < '0' || last[0] > '9')
}

// hasScheme reports whether s begins with a URL scheme, or with bytes that the
// parser might drop in front of one.
func hasScheme(s []byte) bool {
	for i, c := range s {
		switch {
		case c == ':':
			return i > 0
		case c == '/' || c == '?' || c == '#':
			return false
		case c == '\\' || c <= ' ':
			return true
		}
	}
	return false
}

// slow asks the full parser.
func (b *baseURL) slow(raw []byte, loc *policy.Location) urlClass {
	u, err := parser.ParseRef(b.full, string(raw))
	if err != nil {
		return urlBad
	}
	switch u.Scheme() {
	case "http", "https", "ws", "wss", "ftp":
	case "data":
		return urlData
	case "javascript":
		return urlScript
	default:
		return urlLocal
	}
	query := u.Search()
	if query != "" {
		query = query[1:]
	}
	*loc = policy.Location{
		Scheme: []byte(u.Scheme()), Host: []byte(trimDot(u.Hostname())),
		Path: []byte(u.Pathname()), Query: []byte(query),
	}
	return urlNet
}

func trimDot(host string) string {
	if n := len(host); n > 0 && host[n-1] == '.' {
		return host[:n-1]
	}
	return host
}

// trimControl cuts C0 controls and spaces off both ends, as the URL parser does.
func trimControl(s []byte) []byte {
	for len(s) > 0 && s[0] <= ' ' {
		s = s[1:]
	}
	for len(s) > 0 && s[len(s)-1] <= ' ' {
		s = s[:len(s)-1]
	}
	return s
}
