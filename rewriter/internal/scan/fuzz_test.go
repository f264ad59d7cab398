package scan

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/consentgate/consentgate/rewriter/internal/html5lib"
)

// FuzzTokenizer: where a document has one reading, the scanner sees the start
// tags that golang.org/x/net/html's tokenizer sees, in whatever pieces it comes.
func FuzzTokenizer(f *testing.F) {
	runs, err := html5lib.Runs("testdata/html5lib")
	if err != nil {
		f.Fatal(err)
	}
	for _, r := range runs {
		if strings.Contains(r.Input, "<") {
			f.Add([]byte(r.Input), uint8(1))
		}
	}
	for _, s := range []string{
		"<script><!--<script></script>--></script><a>", "<title></titlex></title/><a>", "<style></style\f><a>", "<textarea a=\"</textarea>\"><a>",
		"<a b='c'd=e/f=\"g\"><b></b x='>'><c>", "<!--a--!><b>", "<!--><b>", "<!---><b>", "<!-- --! ><b>", "<!doctype html><?x><b>", "<xmp><!--</xmp>--><b>", "<script></scr", "<p><a/=x><b =c>",
	} {
		f.Add([]byte(s), uint8(2))
	}
	f.Fuzz(func(t *testing.T, doc []byte, size uint8) {
		low := strings.ToLower(string(doc))
		for _, word := range []string{"noscript", "svg", "math", "\x00"} {
			if strings.Contains(low, word) {
				return // two readings; and a NUL the tokenizer replaces
			}
		}
		if escapedLess.MatchString(low) {
			return // see TestScriptEscapes
		}
		got := startTags(&Scanner{Every: true}, doc, int(size)+1)
		want, ok := tokenize(doc)
		if ok && strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%q in pieces of %d\nscanner   %q\ntokenizer %q", doc, int(size)+1, got, want)
		}
	})
}

// escapedLess matches where golang.org/x/net/html may leave escaped script text.
var escapedLess = regexp.MustCompile(`(?s)<script.*<!--.*</?[^a-z/]`)

// TestScriptEscapes: in escaped script text a '<' that begins neither "<script"
// nor "</script" leaves it escaped (HTML standard, section 13.2.5.23). The
// tokenizer of golang.org/x/net/html ends the escape there, html5lib's suite has
// no such case.
func TestScriptEscapes(t *testing.T) {
	for in, want := range map[string]string{
		"<script><!--<<script></script><a>":                      "script",
		"<script><!--<!<script></script><a>":                     "script",
		"<script><!--</<script></script><a>":                     "script",
		"<script><!-- 1<2 <script></script><a>":                  "script",
		"<script><!--<script></script <<script></script><a>":     "script",
		"<script><!--<x<script></script></script><a>":            "script a",
		"<script><!--<<</script><a>":                             "script a",
		"<script><!--<<--><script></script><a>":                  "script a",
		"<script><!--<script <</script></script><a>":             "script a",
		"<script><!--<scripty></script><a>":                      "script a",
		"<script><!--<script/></script></script><!--<script><a>": "script", // a comment to the end
	} {
		for size := 1; size <= len(in); size++ {
			if got := strings.Join(startTags(&Scanner{Every: true}, []byte(in), size), " "); got != want {
				t.Errorf("%s, pieces of %d: %s, want %s", in, size, got, want)
			}
		}
	}
}

// tokenize returns the names of the start tags the tokenizer sees.
func tokenize(doc []byte) (names []string, ok bool) {
	z := html.NewTokenizer(bytes.NewReader(doc))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return names, true
		case html.StartTagToken, html.SelfClosingTagToken:
			raw := z.Raw()
			end := NameEnd(raw, 1)
			names = append(names, strings.ToLower(string(raw[1:end])))
			if len(raw) > 1 && raw[len(raw)-1] != '>' {
				return nil, false // cut off by the end of the input
			}
		}
	}
}

// TestForeign: what the tracker of svg and math says at the end of a document.
func TestForeign(t *testing.T) {
	for _, c := range []struct {
		in       string
		active   bool
		diverged bool
	}{
		{"<svg><path d=x></svg>", false, false},
		{"<svg><path/><g><circle></g></svg><p>", false, false},
		{"<svg>", true, false}, {"<svg/>", false, false}, {"<svg><p>", false, false}, {"<svg><font size=1>", false, false}, {"<svg><font>", true, false},
		{"<svg><foreignObject><div><br><img></div></foreignObject></svg>", false, false},
		{"<svg><foreignObject><p>a<p>b</foreignObject></svg>", true, false}, // implied end tags: it no longer knows
		{"<svg><desc>x</svg>", false, false}, {"<svg><title>Icon</title></svg>", false, false},
		{"<svg><title>a<b></title></svg>", false, true},
		{"<svg><style>a{}</style></svg>", false, false}, {"<svg><style><![CDATA[a{}]]></style></svg>", false, false},
		{"<svg><style><![CDATA[a{}</style></svg>", false, true}, {"<svg><style/></svg><p>", false, false},
		{"<math><mi>x</mi><mo>+</mo></math>", false, false}, {"<math><annotation-xml encoding=text/html><p>x</p></annotation-xml></math>", false, false},
		{"<svg></div></svg>", true, false}, {"<div><svg></div>", true, false},
		{"<svg><![CDATA[a]]></svg>", false, false}, {"<svg><![CDATA[a<b]]></svg>", false, true},
		{"<svg><svg><svg></svg></svg></svg>", false, false},
		{"<noscript><p></noscript>", false, false}, {"<noscript><p title='</noscript>'>", false, true}, {"<noscript><!--</noscript>", false, true},
		{"<select><option><title>a</title></select>", false, false}, {"<select><title><b></title></select>", false, true},
		{"<select><script>a<b</script></select>", false, false}, {"<frameset><script>a<b</script>", false, true},
	} {
		for _, size := range []int{len(c.in), 1, 2, 5} {
			s := &Scanner{}
			startTags(s, []byte(c.in), size)
			if s.Foreign() != c.active || s.Diverged != c.diverged {
				t.Errorf("%s, pieces of %d: foreign %v, diverged %v", c.in, size, s.Foreign(), s.Diverged)
			}
		}
	}
}

// FuzzTree: where a document has one reading, every element of golang.org/x/net's
// tree that may load something was seen by the scanner, with scripting on and off.
func FuzzTree(f *testing.F) {
	runs, err := html5lib.Runs("testdata/html5lib")
	if err != nil {
		f.Fatal(err)
	}
	for i, r := range runs {
		if i%4 == 0 {
			f.Add([]byte(r.Input), uint8(2))
		}
	}
	for _, s := range []string{
		"<svg><script/></svg><img><image>", "<table><img><tr><script></script><td><iframe></table>", "<noscript><img><link></noscript><object><embed>",
		"<select><script></script><option></select><video><source><track></video>", "<template><img><style></style></template>", "<math><mi><img></mi><annotation-xml encoding=text/html><script></script>",
		"<frameset><frame><noframes><img></noframes>", "<p><b><img><p></b><audio><input><base><meta>", "<svg><desc><b><image></desc><use/><feImage/>", "<!--><img>--><![CDATA[<img>]]><?img><img", "<textarea><img></textarea><title></title><xmp><img></xmp><img>",
	} {
		f.Add([]byte(s), uint8(4))
	}
	f.Fuzz(func(t *testing.T, doc []byte, size uint8) {
		s := &Scanner{Every: true}
		seen := map[string]int{}
		for _, name := range startTags(s, doc, int(size)+1) {
			seen[name]++
		}
		if s.Diverged {
			return // every "<" counts there
		}
		seen["img"] += seen["image"] // HTML takes one for the other
		for _, scripting := range []bool{true, false} {
			root, err := html.ParseWithOptions(strings.NewReader(string(doc)), html.ParseOptionEnableScripting(scripting))
			if err != nil {
				continue
			}
			tree := map[string]int{}
			for n := range root.Descendants() {
				if n.Type == html.ElementNode && loads(n.Data) {
					tree[strings.ToLower(n.Data)]++
				}
			}
			for name, n := range tree {
				if n > seen[name] {
					t.Errorf("%d of <%s> in the tree, %d seen (scripting %v)\n%q", n, name, seen[name], scripting, doc)
				}
			}
		}
	})
}

// loads reports whether an element of that name is one the scanner's callers
// judge. The parser copies formatting elements, but none of these.
func loads(name string) bool {
	switch ElemOf([]byte(name)) {
	case Script, Style, Iframe, Frame, Object, Embed, Img, Image, Source, Video, Audio, Track, Input, Link, Meta, Base, Use, FeImage:
		return true
	}
	return false
}
