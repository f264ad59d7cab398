package faults

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// heldHosts are those the pages refer to.
var heldHosts = []string{
	"www.googletagmanager.com", "connect.facebook.net", "www.facebook.com", "www.youtube.com", "fonts.googleapis.com",
}

// loading are the attributes whose value is fetched.
var loading = []string{"src", "href", "srcset", "data", "poster", "background", "imagesrcset", "srcdoc"}

// liveReferences returns what a page, whole or cut anywhere, would load from a
// held host: by its bytes, which are not all markup yet where the page was cut,
// and as a tree.
func liveReferences(page []byte) (found []string) {
	for _, attribute := range loading {
		for _, host := range heldHosts {
			live := " " + attribute + `="https://` + host
			if at := bytes.Index(page, []byte(live)); at >= 0 {
				found = append(found, fmt.Sprintf("byte %d: %s", at, live))
			}
		}
	}
	tree, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		return append(found, err.Error())
	}
	for n := range tree.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		for _, a := range n.Attr {
			if slices.Contains(loading, a.Key) && refersToHeld(a.Val) {
				found = append(found, fmt.Sprintf("<%s %s=%q>", n.Data, a.Key, a.Val))
			}
		}
		switch text := n.FirstChild; {
		case text == nil || text.Type != html.TextNode || !refersToHeld(text.Data):
		case n.Data == "script" && runs(n):
			found = append(found, fmt.Sprintf("inline script %.80q", text.Data))
		case n.Data == "noscript":
			found = append(found, liveReferences([]byte(text.Data))...)
		}
	}
	return found
}

func refersToHeld(value string) bool {
	return slices.ContainsFunc(heldHosts, func(host string) bool { return strings.Contains(value, "//"+host) })
}

// runs reports whether browsers run an inline script of the pages here.
func runs(script *html.Node) bool {
	for _, a := range script.Attr {
		if a.Key == "type" {
			return a.Val == "" || strings.Contains(a.Val, "javascript") || a.Val == "module"
		}
	}
	return true
}

// The judge sees what is live in the site's own page, in each way it is written.
func TestJudge(t *testing.T) {
	found := strings.Join(liveReferences(document(sizes[0])), "\n")
	for _, want := range []string{
		"byte ", "<script src=", "<img src=", "<iframe src=", "<link href=", "inline script",
		`<iframe src="https://www.googletagmanager.com/ns.html`,
	} {
		if !strings.Contains(found, want) {
			t.Errorf("not seen: %s", want)
		}
	}
	for _, cut := range []string{`<script src="https://www.googletagmanager.com/gt`, `<p>a<script src="https://connect.facebook.net/x.js">`} {
		if len(liveReferences([]byte(cut))) == 0 {
			t.Errorf("not seen: %s", cut)
		}
	}
	if found := liveReferences([]byte(`<script type="text/plain" data-cg-src="https://www.youtube.com/">"//www.youtube.com"</script>`)); found != nil {
		t.Errorf("inert, yet %q", found)
	}
}
