package rewriter

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/nlnwa/whatwg-url/url"
	"github.com/tdewolff/parse/v2"
	"github.com/tdewolff/parse/v2/css"
	"golang.org/x/net/html"

	"github.com/consentgate/consentgate/consent"
	"github.com/consentgate/consentgate/policy"
)

const testHost = "site.test"

func denied() policy.Bound { return policy.Default().Bind(consent.State{}, testHost) }

// granted is a visitor who agreed to everything.
func granted() policy.Bound {
	p := policy.Default()
	s := consent.State{Decided: true, Chosen: p.Scheme().Optional(), Granted: p.Scheme().Optional()}
	return p.Bind(s, testHost)
}

func testPage(b policy.Bound) Page {
	return Page{Bound: b, Scheme: "https", Host: testHost, Path: "/dir/page.html", Stubs: true}
}

// rewrite feeds doc in pieces of the given size; 0 means whole.
func rewrite(t testing.TB, doc []byte, size int, p Page) ([]byte, *Report) {
	t.Helper()
	var out bytes.Buffer
	rw := New(Options{})
	rw.Reset(&out, p)
	if size == 0 {
		size = max(1, len(doc))
	}
	for rest := doc; len(rest) > 0; {
		n := min(size, len(rest))
		if _, err := rw.Write(rest[:n]); err != nil {
			t.Fatalf("write: %v", err)
		}
		rest = rest[n:]
	}
	if err := rw.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	return out.Bytes(), rw.Report()
}

var (
	stubPattern   = regexp.MustCompile(`(?s)<script (?:(?i:nonce)[^>]*? )?data-cg-stub=[a-z0-9-]+>.*?</script>`)
	equalsPattern = regexp.MustCompile(`data-cg-held/([/\t\n\f\r ]*=)`)
	markerPattern = regexp.MustCompile(`( type=text/plain)? data-cg-vendor=[a-z0-9-]+ data-cg-category=[a-z0-9-]+ data-cg-held`)
)

// restore cuts out of a rewritten document everything that was inserted. It is
// exact if the original has none of our own words in it.
func restore(out []byte) []byte {
	out = stubPattern.ReplaceAll(out, nil)
	out = equalsPattern.ReplaceAll(out, []byte("data-cg-held$1"))
	out = markerPattern.ReplaceAll(out, nil)
	out = bytes.ReplaceAll(out, []byte("data-cg-"), nil)
	return bytes.ReplaceAll(out, []byte(cssPrefix), nil)
}

// usesOurWords reports whether doc holds text that restore would cut.
func usesOurWords(doc []byte) bool {
	return bytes.Contains(doc, []byte("data-cg-")) || bytes.Contains(doc, []byte(cssPrefix)) ||
		bytes.Contains(doc, []byte("cg#"))
}

// live lists what a full parser finds in doc that a browser would load or run
// and the policy blocks. It is written without the rewriter's own helpers.
func live(doc []byte, b policy.Bound, scripting bool) []string {
	o := oracle{b: b, base: "https://" + testHost + "/dir/page.html"}
	o.document(doc, scripting, 0)
	return o.found
}

type oracle struct {
	b     policy.Bound
	base  string
	based bool
	found []string
}

func (o *oracle) document(doc []byte, scripting bool, depth int) {
	root, err := html.ParseWithOptions(bytes.NewReader(doc), html.ParseOptionEnableScripting(scripting))
	if err != nil {
		return // the parser's own limits; nothing to compare with
	}
	o.walk(root, scripting, depth)
}

func (o *oracle) walk(n *html.Node, scripting bool, depth int) {
	if n.Type == html.ElementNode {
		o.element(n, scripting, depth)
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		o.walk(c, scripting, depth)
	}
}

func (o *oracle) element(n *html.Node, scripting bool, depth int) {
	attr := func(name string) (string, bool) {
		for _, a := range n.Attr {
			if a.Key == name {
				return a.Val, true
			}
		}
		return "", false
	}
	load := func(k policy.Kind, names ...string) {
		for _, name := range names {
			if v, ok := attr(name); ok {
				o.url(n.Data+" "+name, v, k)
			}
		}
	}
	if v, ok := attr("style"); ok {
		o.style(n.Data+" style", v)
	}
	load(policy.Image, "background")
	o.rare(n, attr)
	switch n.Data {
	case "base":
		if v, ok := attr("href"); ok && !o.based && n.Namespace == "" {
			o.based = true
			if u, err := url.ParseRef(o.base, v); err == nil {
				o.base = u.Href(true)
			}
		}
	case "script":
		o.script(n, attr)
	case "iframe", "frame":
		load(policy.Frame, "src")
		if v, ok := attr("srcdoc"); ok && depth < 3 {
			inner := oracle{b: o.b, base: o.base}
			inner.document([]byte(v), scripting, depth+1)
			for _, f := range inner.found {
				o.found = append(o.found, "srcdoc: "+f)
			}
		}
	case "embed":
		load(policy.Object, "src")
	case "object":
		load(policy.Object, "data")
	case "img", "input":
		load(policy.Image, "src")
		if n.Data == "img" {
			o.srcset(n.Data, attr)
		}
	case "image", "use", "feImage":
		load(policy.Image, "href")
	case "source", "video", "audio", "track":
		load(policy.Media, "src")
		switch n.Data {
		case "video":
			load(policy.Image, "poster")
		case "source":
			o.srcset(n.Data, attr)
		}
	case "link":
		rel, _ := attr("rel")
		for _, w := range strings.Fields(strings.ToLower(rel)) {
			switch w {
			case "stylesheet", "preload", "modulepreload", "prefetch", "preconnect", "dns-prefetch", "icon":
				load(policy.Hint, "href")
				return
			}
		}
	case "style":
		if typ, _ := attr("type"); typ != "" && !strings.EqualFold(typ, "text/css") {
			return
		}
		if n.FirstChild != nil {
			o.style("style", n.FirstChild.Data)
		}
	}
}

func (o *oracle) srcset(name string, attr func(string) (string, bool)) {
	v, ok := attr("srcset")
	if !ok {
		return
	}
	for _, m := range srcsetCandidate.FindAllStringSubmatch(v, -1) {
		o.url(name+" srcset", m[1], policy.Image)
	}
}

// srcsetCandidate matches an image candidate: a URL that ends in commas, or a URL
// and descriptors up to a comma outside parentheses.
var srcsetCandidate = regexp.MustCompile(`[\t\n\f\r ,]*([^\t\n\f\r ,](?:[^\t\n\f\r ]*?))(?:,+(?:[\t\n\f\r ]|$)|[\t\n\f\r ](?:[^,(]|\([^)]*(?:\)|$))*(?:,|$)|$)`)

func (o *oracle) script(n *html.Node, attr func(string) (string, bool)) {
	typ, has := attr("type")
	switch strings.ToLower(strings.TrimSpace(typ)) {
	case "", "text/javascript", "application/javascript", "module", "text/ecmascript", "application/ecmascript":
		if has && typ != "" && strings.TrimSpace(typ) == "" {
			return // a type of spaces is no type
		}
	case "importmap", "speculationrules":
		o.json(n.Data+" "+typ, scriptText(n), map[bool]policy.Kind{true: policy.Script, false: policy.Hint}[strings.EqualFold(strings.TrimSpace(typ), "importmap")])
		return
	default:
		return
	}
	name := "src"
	if n.Namespace == "svg" {
		name = "href"
	}
	if v, ok := attr(name); ok {
		o.url("script "+name, v, policy.Script)
		return
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type == html.ElementNode {
			return // a script of svg with elements inside: its text is judged in pieces only
		}
	}
	if n.Namespace != "math" {
		o.inline("inline", scriptText(n))
	}
}

func scriptText(n *html.Node) string {
	var text strings.Builder
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type == html.TextNode {
			text.WriteString(c.Data)
		}
	}
	return text.String()
}

func (o *oracle) inline(where, text string) {
	if len(text) > DefaultMaxInline {
		return
	}
	d, _ := o.b.Inline([]byte(text), nil)
	if d.Action == policy.Allow {
		return
	}
	// In a document with several readings the text of one reading's script holds
	// the marks that another's elements were given. They load nothing; but code that
	// is none to begin with may read as if it did.
	if plain, _ := o.b.Inline(restore([]byte(text)), nil); plain.Action == policy.Block {
		o.found = append(o.found, fmt.Sprintf("%s %s: %.80q", where, d.Vendor.ID, text))
	}
}

// style finds the url() tokens and imports that a CSS lexer of its own sees.
func (o *oracle) style(where, text string) {
	l := css.NewLexer(parse.NewInputString(text))
	imported := false
	for {
		tt, lexeme := l.Next()
		switch tt {
		case css.ErrorToken:
			return
		case css.URLToken:
			v := strings.TrimSpace(string(lexeme[len("url("):]))
			v = strings.Trim(strings.TrimSpace(strings.TrimSuffix(v, ")")), "\"'")
			if !strings.Contains(v, `\`) && strings.EqualFold(string(lexeme[:4]), "url(") {
				o.url(where, v, policy.Style)
			}
		case css.StringToken:
			if v := string(lexeme); imported && !strings.Contains(v, `\`) {
				o.url(where, strings.Trim(v, "\"'"), policy.Style)
			}
		case css.AtKeywordToken:
			imported = strings.EqualFold(string(lexeme), "@import")
			continue
		case css.WhitespaceToken, css.CommentToken:
			continue
		}
		imported = false
	}
}

func (o *oracle) url(where, v string, k policy.Kind) {
	u, err := url.ParseRef(o.base, v)
	if err != nil || u.Scheme() != "http" && u.Scheme() != "https" {
		return
	}
	loc := policy.Location{
		Scheme: []byte(u.Scheme()), Host: []byte(strings.TrimSuffix(u.Hostname(), ".")),
		Path: []byte(u.Pathname()), Query: []byte(strings.TrimPrefix(u.Search(), "?")),
	}
	if d := o.b.Resource(k, loc); d.Action == policy.Block {
		o.found = append(o.found, where+" "+v)
	}
}
