package rewriter

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/consentgate/consentgate/rewriter/internal/scan"
)

// A parserView lists what one kind of parser makes of a document. Inserted elements
// and inserted text are left out, so that a document and its rewritten form must
// come to the same list, but for the attributes of changed tags.
type parserView struct {
	name string
	list func(doc []byte) ([]token, error)
}

type token struct {
	text    string // without attributes
	attrs   string
	changed bool // an attribute was inserted, renamed or edited
}

// newToken joins the attributes. Of several with one name the first counts.
func newToken(text string, attrs []html.Attribute) token {
	t := token{text: string(restore([]byte(text)))}
	var b strings.Builder
	seen := map[string]bool{}
	for _, a := range attrs {
		name := a.Namespace + ":" + a.Key
		t.changed = t.changed || usesOurWords([]byte(name+a.Val))
		if !seen[name] {
			fmt.Fprintf(&b, " %s=%q", name, a.Val)
		}
		seen[name] = true
	}
	t.attrs = b.String()
	return t
}

// sameTokens compares the tokens of a document and of its rewritten form.
func sameTokens(in, out []token) bool {
	return slices.EqualFunc(in, out, func(a, b token) bool {
		return a.text == b.text && (b.changed || a.attrs == b.attrs)
	})
}

var parserViews = []parserView{
	{"tree, scripting on", func(doc []byte) ([]token, error) { return treeTokens(doc, true) }},
	{"tree, scripting off", func(doc []byte) ([]token, error) { return treeTokens(doc, false) }},
	{"tokenizer", tokenizerTokens},
	{"free of context", func(doc []byte) ([]token, error) { return freeTokens(doc), nil }},
}

// FuzzStructure: whatever reads the document finds the same elements, texts and
// comments in the output, but for the attributes of changed tags and inserted
// elements.
func FuzzStructure(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, doc []byte, size uint16) {
		if usesOurWords(doc) {
			return
		}
		out, r, ok := tryRewrite(doc, int(size), testPage(denied()))
		if !ok || r.Overlong > 0 {
			return
		}
		for _, view := range parserViews {
			want, err := view.list(doc)
			if err != nil {
				continue // the parser's own limits
			}
			got, err := view.list(out)
			if err != nil || !sameTokens(want, got) {
				t.Errorf("%s: %v\nin:  %q\nout: %q\nread as\n%+v\nand\n%+v", view.name, err, doc, out, want, got)
			}
		}
	})
}

func isStub(attrs []html.Attribute) bool {
	return slices.ContainsFunc(attrs, func(a html.Attribute) bool { return a.Key == stubMark })
}

// tokenizerTokens reads as golang.org/x/net/html's tokenizer does.
func tokenizerTokens(doc []byte) (list []token, err error) {
	z := html.NewTokenizer(bytes.NewReader(doc))
	text := ""
	flush := func() {
		if text != "" {
			list = append(list, newToken("text "+text, nil))
		}
		text = ""
	}
	for inStub := false; ; {
		tt := z.Next()
		if tt == html.ErrorToken {
			flush()
			return list, nil
		}
		tok := z.Token()
		switch {
		case tt == html.StartTagToken && isStub(tok.Attr):
			inStub = true
		case inStub:
			inStub = tt != html.EndTagToken
		case tt == html.TextToken:
			text += tok.Data
		default:
			flush()
			list = append(list, newToken(tt.String()+" "+tok.Data, tok.Attr))
		}
	}
}

// treeTokens reads as a full parser does.
func treeTokens(doc []byte, scripting bool) (list []token, err error) {
	root, err := html.ParseWithOptions(bytes.NewReader(doc), html.ParseOptionEnableScripting(scripting))
	if err != nil {
		return nil, err
	}
	var walk func(n *html.Node, depth int)
	text := ""
	flush := func(depth int) {
		if text != "" {
			list = append(list, newToken(fmt.Sprint(depth, " text ", text), nil))
		}
		text = ""
	}
	walk = func(n *html.Node, depth int) {
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			switch {
			case c.Type == html.TextNode:
				// A frameset keeps the spaces of a text and nothing else, ours too.
				if n.Data != "frameset" && n.Data != "html" {
					text += c.Data
				}
				continue
			case c.Type == html.ElementNode && isStub(c.Attr):
				continue
			}
			flush(depth)
			list = append(list, newToken(fmt.Sprint(depth, c.Type, c.Namespace, ":", c.Data), c.Attr))
			walk(c, depth+1)
			flush(depth + 1)
		}
	}
	walk(root, 0)
	flush(0)
	return list, nil
}

// freeTokens reads a tag at every "<" that a letter or a slash follows, whatever
// stands around it, as preload scanners do that have lost their way.
func freeTokens(doc []byte) (list []token) {
	doc = stubPattern.ReplaceAll(doc, nil)
	for i := range doc {
		if doc[i] != '<' || i+1 == len(doc) {
			continue
		}
		name := i + 1
		if doc[name] == '/' {
			name++
		}
		if name == len(doc) || !isLetter(doc[name]) {
			continue
		}
		walk := scan.TagWalk{Pos: name}
		end, closed := walk.End(doc)
		nameEnd := scan.NameEnd(doc[:end], name)
		var attrs []html.Attribute
		if doc[i+1] != '/' {
			for _, a := range scan.Attrs(nil, doc[:end], nameEnd) {
				attrs = append(attrs, html.Attribute{Key: string(doc[a.Name:a.NameEnd]), Val: string(doc[a.Val:a.ValEnd])})
			}
		}
		// No element has such a name, so what follows the mark in it is nobody's: a
		// prefix with its slash may stand there.
		text := doc[i:nameEnd]
		if k := bytes.IndexAny(text, `"'(`); k >= 0 {
			text = text[:k]
		}
		list = append(list, newToken(fmt.Sprint(closed, " ", string(text)), attrs))
	}
	return list
}
