package rewriter

import (
	"net/http"
	"path"
	"strings"
)

// Content is what a browser would take a response for.
type Content uint8

const (
	// NotHTML is anything that is no document the rewriter or a browser's HTML
	// parser would read.
	NotHTML Content = iota
	// HTML is to be rewritten.
	HTML
	// XML is a document that can run scripts but is not read by the HTML
	// parser (XHTML, SVG, other XML). It cannot be rewritten.
	XML
	// Unlabelled is a response whose type browsers guess from its first bytes:
	// see [Sniff].
	Unlabelled
)

func (c Content) String() string {
	switch c {
	case HTML:
		return "html"
	case XML:
		return "xml"
	case Unlabelled:
		return "unlabelled"
	}
	return "not_html"
}

// Classify tells what browsers will take a response with these headers for. It
// reads Content-Type as they do, over all lines and list members (Fetch, section
// 2.2.2, "extract a MIME type"), which accepts much that mime.ParseMediaType
// rejects. Browsers disagree on which of several types counts, so one HTML type
// among them makes the response HTML. Where they would sniff, "nosniff" and
// "Content-Disposition: attachment" settle that there is no document.
func Classify(h http.Header) Content {
	essence := ""
	content := NotHTML
	eachMediaType(h, func(m mediaType) {
		essence = m.essence
		switch {
		case essence == "text/html":
			content = HTML
		case content != HTML && isXML(essence):
			content = XML
		}
	})
	if content != NotHTML {
		return content
	}
	switch essence {
	case "", "unknown/unknown", "application/unknown":
		if noSniff(h) || attachment(h) {
			return NotHTML
		}
		return Unlabelled
	}
	return NotHTML
}

func isXML(essence string) bool {
	switch essence {
	case "text/xml", "application/xml", "text/xsl": // the last to Chromium
		return true
	}
	return strings.HasSuffix(essence, "+xml")
}

// noSniff follows Fetch, section 3.6, "determine nosniff": the first value
// counts.
func noSniff(h http.Header) bool {
	first, _, _ := strings.Cut(h.Get("X-Content-Type-Options"), ",")
	return headerFold(headerTrim(first), "nosniff")
}

func attachment(h http.Header) bool {
	kind, _, _ := strings.Cut(h.Get("Content-Disposition"), ";")
	return headerFold(headerTrim(kind), "attachment")
}

// A mediaType is one member of Content-Type.
type mediaType struct {
	essence string // "type/subtype", lower-case
	params  string // from the first ";" on, raw
}

// eachMediaType calls f for every usable member of every Content-Type line, in
// order. Members that are no type, and "*/*", are passed over (Fetch, section
// 2.2.2).
func eachMediaType(h http.Header, f func(mediaType)) {
	for _, line := range h["Content-Type"] {
		splitHeaderList(line, ',', false, func(start, end int, _ bool) {
			if m, ok := cutMediaType(line[start:end]); ok {
				f(m)
			}
		})
	}
}

func cutMediaType(s string) (mediaType, bool) {
	s = headerTrim(s)
	essence, params := s, ""
	if i := strings.IndexByte(s, ';'); i >= 0 {
		essence, params = s[:i], s[i:]
	}
	// Chromium ends the type at a blank or a parenthesis too, the standard
	// calls it invalid then. Reading it is the careful choice.
	if i := strings.IndexAny(essence, " \t("); i >= 0 {
		essence = essence[:i]
	}
	slash := strings.IndexByte(essence, '/')
	if slash <= 0 || slash == len(essence)-1 || essence == "*/*" {
		return mediaType{}, false
	}
	for i := 0; i < len(essence); i++ {
		if i != slash && !tokenByte(essence[i]) {
			return mediaType{}, false
		}
	}
	return mediaType{essence: strings.ToLower(essence), params: params}, true
}

// tokenByte reports whether c may stand in a token (RFC 9110, section 5.6.2).
func tokenByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// SniffBytes is the number of first bytes browsers look at to guess a type.
const SniffBytes = 512

// sniffTags are the beginnings of what counts as HTML if a blank or ">" follows
// (MIME Sniffing, section 7.1).
var sniffTags = [...]string{
	"<!DOCTYPE HTML", "<HTML", "<HEAD", "<SCRIPT", "<IFRAME", "<H1", "<DIV", "<FONT", "<TABLE",
	"<A", "<STYLE", "<TITLE", "<B", "<BODY", "<BR", "<P",
}

// Sniff reports whether browsers take an [Unlabelled] response that begins with
// these bytes, at most [SniffBytes] of which count, for HTML. Not all of them
// insist on the byte after the tag's name as the standard does, so a page that is
// not HTML here should be sent with "X-Content-Type-Options: nosniff".
func Sniff(first []byte) bool {
	html, _ := sniffHTML(first)
	return html
}

// SniffMore reports whether more bytes could still make Sniff say yes. A
// response may leave as soon as it is false.
func SniffMore(first []byte) bool {
	html, more := sniffHTML(first)
	return !html && more
}

func sniffHTML(b []byte) (html, more bool) {
	room := len(b) < SniffBytes
	if !room {
		b = b[:SniffBytes]
	}
	for len(b) > 0 && mimeSpace(b[0]) {
		b = b[1:]
	}
	if len(b) == 0 {
		return false, room
	}
	if yes, cut := sniffPrefix(b, "<!--"); yes || cut {
		return yes, cut && room
	}
	for _, tag := range sniffTags {
		yes, cut := sniffPrefix(b, tag)
		switch {
		case !yes:
			more = more || cut
		case len(b) == len(tag):
			more = true
		case b[len(tag)] == ' ' || b[len(tag)] == '>':
			return true, false
		}
	}
	return false, more && room
}

// sniffPrefix reports whether b begins with pattern, or, cut short, may.
func sniffPrefix(b []byte, pattern string) (yes, cut bool) {
	n := min(len(b), len(pattern))
	if !headerFold(string(b[:n]), pattern[:n]) {
		return false, false
	}
	return n == len(pattern), n < len(pattern)
}

// mimeSpace reports whether c is a whitespace byte (MIME Sniffing, section 3).
func mimeSpace(c byte) bool {
	return c == '\t' || c == '\n' || c == '\f' || c == '\r' || c == ' '
}

// documentTargets are the values of Sec-Fetch-Dest under which a browser will
// parse HTML.
const documentTargets = " document iframe frame fencedframe embed object "

// plainExtensions end paths that browsers ask for as subresources. They count
// only for clients that do not say what the answer is for.
const plainExtensions = " .css .js .mjs .json .map .png .jpg .jpeg .gif .webp .avif .ico .woff .woff2 .ttf .otf" +
	" .mp4 .m4v .m4a .webm .mov .mp3 .ogg .ogv .wav .m3u8 .ts .zip .gz "

// MayBeHTML reports whether the answer to r may be parsed as HTML by a browser,
// as far as the request tells: a navigation, also one made ahead of time, an
// Accept that names HTML, or a client that says nothing (RFC 9110 clients and
// browsers without Fetch Metadata) and asks for no well-known file type. Such a
// request must not be answered in parts or revalidate an unknown body: see
// [StripRange] and [OriginETags].
func MayBeHTML(r *http.Request) bool {
	h := r.Header
	for _, line := range h["Accept"] {
		if headerContains(line, "html") {
			return true
		}
	}
	// A page fetched ahead is asked for as if it were data.
	for _, field := range [...]string{"Sec-Purpose", "Purpose", "X-Moz"} {
		if strings.Contains(headerFirst(h, field), "prefetch") {
			return true
		}
	}
	if strings.HasSuffix(headerFirst(h, "Sec-Fetch-Mode"), "navigate") {
		return true
	}
	if target := headerTrim(headerFirst(h, "Sec-Fetch-Dest")); target != "" {
		return wordIn(documentTargets, target)
	}
	ext := strings.ToLower(path.Ext(r.URL.Path))
	return ext == "" || !wordIn(plainExtensions, ext)
}

// wordIn reports whether word stands in list, between blanks.
func wordIn(list, word string) bool {
	for rest := list; ; {
		i := strings.Index(rest, word)
		if i < 0 {
			return false
		}
		end := i + len(word)
		if i > 0 && rest[i-1] == ' ' && end < len(rest) && rest[end] == ' ' && strings.IndexByte(word, ' ') < 0 {
			return true
		}
		rest = rest[i+1:]
	}
}
