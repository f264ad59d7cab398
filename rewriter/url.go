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
	authority          string // host with port
	full               string // for the slow path: scheme://host/path, or empty if nobody asked yet
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
	// What is longer no browser has on its page; it would be copied for each
	// reference.
	if len(path) > maxBase {
		path = path[:strings.LastIndexByte(path[:maxBase], '/')+1]
	}
	host = host[:min(len(host), maxAuthority)]
	// A browser may ask for "site.test.", and other clients for "Site.TEST".
	b.scheme, b.host, b.path, b.set = scheme, trimDot(strings.ToLower(hostOnly(host))), path, false
	b.authority, b.full = host, ""
}

// address returns the base URL whole, for the full parser.
func (b *baseURL) address() string {
	if b.full == "" {
		b.full = b.scheme + "://" + b.authority + b.path
	}
	return b.full
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
	if b.rebasePlain(trimControl(href)) {
		return
	}
	u, err := parser.ParseRef(b.address(), string(href))
	if err != nil || u.Scheme() != "http" && u.Scheme() != "https" {
		return
	}
	b.scheme, b.host, b.path = u.Scheme(), trimDot(u.Hostname()), u.Pathname()
	b.full = u.Href(true)
}

// rebasePlain is the fast path for an absolute URL without port, which nearly every
// base is.
func (b *baseURL) rebasePlain(href []byte) bool {
	scheme := "https"
	if scan.HasPrefixFold(href, "http://") {
		scheme = "http"
	} else if !scan.HasPrefixFold(href, "https://") {
		return false
	}
	s := href[len(scheme)+len("://"):]
	var loc policy.Location
	if end, _ := hostEnd(s); end < len(s) && s[end] == ':' || !b.absolute(s, scheme, &loc) {
		return false
	}
	b.scheme, b.full = scheme, ""
	if string(loc.Host) != b.host {
		b.host = string(loc.Host)
	}
	if string(loc.Path) != b.path {
		b.path = string(loc.Path)
	}
	b.authority = b.host
	return true
}

// hostByte marks the bytes of a host that means itself, but for upper case: no
// escapes, nothing IDNA would map.
var hostByte = func() (t [256]bool) {
	for c := range t {
		t[c] = 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_'
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
	switch first := raw[0] | 0x20; {
	case raw[0] == '/':
	case first == 'h' && scan.HasPrefixFold(raw, "https://"):
		rest, scheme = raw[len("https:"):], "https"
	case first == 'h' && scan.HasPrefixFold(raw, "http://"):
		rest, scheme = raw[len("http:"):], "http"
	case first == 'd' && scan.HasPrefixFold(raw, "data:"):
		return urlData
	case first == 'a' && scan.HasPrefixFold(raw, "about:"):
		return urlLocal
	case first == 'j' && scan.HasPrefixFold(raw, "javascript:"):
		return urlScript
	case hasScheme(raw):
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
	i, upper := hostEnd(s)
	if i == 0 {
		return false
	}
	host := s[:i]
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
	path, query, form := split(s)
	if form == needsParser {
		return false
	}
	if len(path) == 0 {
		path = rootPath
	}
	if host[len(host)-1] == '.' {
		host = host[:len(host)-1]
	}
	buf := append(b.scratch[:0], scheme...)
	if form == hasDots {
		buf = append(buf, path...)
		path = removeDots(buf[len(scheme):])
	}
	if upper {
		n := len(buf)
		buf = append(buf, host...)
		host = buf[n:]
		for i, c := range host {
			if 'A' <= c && c <= 'Z' {
				host[i] = c | 0x20
			}
		}
	}
	b.scratch = buf
	*loc = policy.Location{Scheme: buf[:len(scheme)], Host: host, Path: path, Query: query}
	return true
}

var rootPath, at = []byte("/"), []byte("@")

// relative is the fast path for a reference without scheme and host.
func (b *baseURL) relative(s []byte, loc *policy.Location) bool {
	path, query, form := split(s)
	if form == needsParser || len(path) > 1 && path[0] == '/' && (path[1] == '/' || path[1] == '\\') {
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
	path = buf[n:]
	if form == hasDots {
		path = removeDots(path)
	}
	*loc = policy.Location{Scheme: buf[:s0], Host: buf[s0:h0], Path: path, Query: query}
	return true
}

// A pathForm says what the parser would do to a path.
type pathForm uint8

const (
	isNormal pathForm = iota
	hasDots           // it has dot segments or backslashes, see removeDots
	needsParser
)

// split cuts "path?query#fragment".
func split(s []byte) (path, query []byte, form pathForm) {
	i := 0
path:
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case pathByte[c] == 0:
			continue
		case c == '?' || c == '#':
			break path
		case c == '\\':
			form = hasDots
		case c != '.' && c != '%':
			return nil, nil, needsParser
		case (i == 0 || s[i-1] == '/') && dots(segment(s[i:])) > 0:
			form = hasDots
		}
	}
	path = s[:i]
	if i < len(s) && s[i] == '?' {
		s = s[i+1:]
		for i = 0; i < len(s) && s[i] != '#'; i++ {
			if !plainByte[s[i]] {
				return nil, nil, needsParser
			}
		}
		query = s[:i]
	}
	return path, query, form
}

// pathByte is 0 for the bytes of a path that mean nothing but themselves.
var pathByte = func() (t [256]uint8) {
	for c := range t {
		if !plainByte[c] {
			t[c] = 1
		}
	}
	for _, c := range "?#.%" {
		t[c] = 1
	}
	return t
}()

// segment returns the path segment at the start of s.
func segment(s []byte) []byte {
	for i, c := range s {
		if c == '/' || c == '\\' || c == '?' || c == '#' {
			return s[:i]
		}
	}
	return s
}

// dots returns 1 for a single-dot segment, 2 for a double-dot segment, 0 for any
// other (WHATWG URL standard, section 4.1).
func dots(segment []byte) int {
	n := 0
	for ; len(segment) > 0; n++ {
		switch {
		case n == 2:
			return 0
		case segment[0] == '.':
			segment = segment[1:]
		case len(segment) > 2 && segment[0] == '%' && segment[1] == '2' && segment[2]|0x20 == 'e':
			segment = segment[3:]
		default:
			return 0
		}
	}
	return n
}

// removeDots takes dot segments out of an absolute path, in place, and writes its
// backslashes as slashes (WHATWG URL standard, section 4.4, path state).
func removeDots(path []byte) []byte {
	out := path[:0]
	for i := 0; i < len(path); {
		s := segment(path[i+1:])
		i += 1 + len(s)
		n := dots(s)
		if n == 2 {
			out = out[:max(0, bytes.LastIndexByte(out, '/'))]
		}
		if n == 0 || i == len(path) {
			out = append(out, '/')
		}
		if n == 0 {
			out = append(out, s...)
		}
	}
	return out
}

// hostEnd returns the end of the domain name in normal form at the start of s, 0
// if there is none: no empty label but a last one, no number at its end, which
// would make it an address, and nothing in Punycode. Letters may be in upper case.
func hostEnd(s []byte) (end int, upper bool) {
	i, label := 0, 0
	for ; i < len(s) && hostByte[s[i]]; i++ {
		switch c := s[i]; {
		case c >= 'a':
		case c == '.':
			if i == label {
				return 0, false
			}
			label = i + 1
		case c == '-':
			if i+1 < len(s) && s[i+1] == '-' {
				return 0, false // "xn--", perhaps
			}
		case 'A' <= c && c <= 'Z':
			upper = true
		}
	}
	last := label
	if i > 0 && i == label {
		last = bytes.LastIndexByte(s[:i-1], '.') + 1
	}
	if i == 0 || '0' <= s[last] && s[last] <= '9' {
		return 0, false
	}
	return i, upper
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

// maxSlow is how long a reference may be that the full parser is asked about, and
// maxBase how long the base of all others: the parser joins a path segment by
// segment, in quadratic time, reads the user's name again at each "@", and a long
// base is copied for each reference. What is longer counts as somebody else's.
const (
	maxSlow = 2 << 10
	maxBase = 1 << 10

	maxAuthority = 300 // bytes of the page's host and port
)

// slow asks the full parser.
func (b *baseURL) slow(raw []byte, loc *policy.Location) urlClass {
	if len(raw)*(1+bytes.Count(raw, at)) > maxSlow {
		if scan.HasPrefixFold(raw, "javascript:") {
			return urlScript
		}
		return urlBad
	}
	u, err := parser.ParseRef(b.address(), string(raw))
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
