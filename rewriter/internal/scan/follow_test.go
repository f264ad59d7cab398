package scan

import (
	"strings"
	"testing"
)

func TestMayRun(t *testing.T) {
	for _, scheme := range []string{
		"javascript:", "JavaScript:", "JAVASCRIPT:", " javascript:", "\x01javascript:", "java\tscript:", "javascript\n:", "javascript\t:", "javascript\r:",
		"javascript&colon;", "javascript&#58;", "javascript&#x3a;", "javascript&#58", "javascrip&#116;:", "&#106;avascript:", "javascript&Tab;:", "javascript&NewLine;:",
		"java&#10;script:", "&Tab;javascript:",
	} {
		for _, tag := range []string{
			`<a href="§x()">`, `<A HREF='§x()'>`, `<a href=§x()>`, `<a title="a:b" href="§x()">`, `<a href="/a" href="§x()">`, `<a/href="§x()">`,
			`<area href="§x()">`, `<form action="§x()">`, `<button formaction="§x()">`, `<BUTTON FORMACTION="§x()">`,
		} {
			in := strings.ReplaceAll(tag, "§", scheme)
			if strings.ContainsAny(scheme, " \t\n\r") && !strings.ContainsAny(tag, `"'`) {
				continue // the value would end
			}
			for size := 1; size <= len(in); size++ {
				if len(startTags(&Scanner{}, []byte(in), size)) == 0 {
					t.Errorf("%q in pieces of %d is passed over", in, size)
				}
			}
		}
	}
	// What most links look like is passed over, and so are other elements.
	for _, in := range []string{
		`<a href="/a">`, `<a href="https://site.test/a?b=1&amp;d=2#e">`, `<a class=x href=//site.test/>`, `<a>`, `<a href="mailto:a@b.test">`, `<a title="Beware: x" href="/">`,
		`<form action="/x" method=post>`, `<button type=submit>`, `<p title="javascript:x">`, `<abbr title="javascript:x">`, `<label for="javascript:">`,
	} {
		if len(startTags(&Scanner{}, []byte(in), len(in))) > 0 {
			t.Errorf("%s is looked at", in)
		}
	}
}

func TestElemOf(t *testing.T) {
	for name, want := range map[string]Elem{
		"amp-img": AMP, "AMP-IMG": AMP, "amp-x": AMP, "amp-": Other, "amp": Other, "ampx-img": Other, "xmp-img": Other, "my-amp-img": Other,
		"param": Param, "portal": Frame, "fencedframe": Frame, "FencedFrame": Frame, "model": Video, "fencedframes": Other,
		"script": Script, "SCRIPT": Script, "\u017fcript": Other, "": Other, "a": Other, "feImage": FeImage,
	} {
		if got := ElemOf([]byte(name)); got != want {
			t.Errorf("%q is %d, want %d", name, got, want)
		}
	}
	for name, want := range watched {
		if got := ElemOf([]byte(name)); got != want || len(name) > maxName {
			t.Errorf("%q is %d, want %d", name, got, want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { ElemOf([]byte("amp-facebook-comments")); ElemOf([]byte("fencedframe")) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// Links and AMP elements are reported only where somebody has to look at them.
func TestReported(t *testing.T) {
	for in, want := range map[string]string{
		`<a href="/x">x</a><p>y</p><div class=z>`:     "",
		`<a href="javascript:x()">`:                   "a",
		`<a data-x="javascript" href=/>`:              "",
		`<amp-img src=x><p><amp-x>`:                   "amp-img amp-x",
		`<form action="javascript:x"><form action=/>`: "form",
	} {
		if got := strings.Join(startTags(&Scanner{}, []byte(in), len(in)), " "); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}
