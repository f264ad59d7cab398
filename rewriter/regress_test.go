package rewriter

import (
	"bytes"
	"strings"
	"testing"
)

// regressions are documents that once got past the rewriter. Browsers fetch
// something blocked from each; the oracle, one parser, sees it in few of them.
var regressions = expand([]string{
	// Text of svg styles is parsed, so its bytes are not its text.
	`<svg><style>@import url(&#104;ttps://www.facebook.com/tr?ev=1);</style></svg>`,
	`<svg><style>@imp<!---->ort "§S";</style></svg>`, `<svg><style>@imp<![CDATA[ort "§S";]]></style></svg>`,
	// Styles that exist in one reading only.
	`<svg><title><style>@import "§S";</style></title></svg>`, `<svg><title><style>a{background:url(§P)}</style></title></svg>`,
	// Two tags waiting for a decision at once.
	`<noscript><p title="</noscript>"></noscript><!--<script>--><img src="§P"><style>@import "§S";</style>`,
	// A base counts for what stands before it, and in odd places.
	`<noscript><base href="/"></noscript><base href="https://connect.facebook.net/"><script src="en_US/fbevents.js"></script>`,
	`<svg><template></svg><base href="https://connect.facebook.net/"><script src="en_US/fbevents.js"></script>`,
	`<noscript><p title="</noscript>"></noscript><!--<base href=/>--><base href="https://connect.facebook.net/"><script src="en_US/fbevents.js"></script>`,
	`<svg><base href="https://connect.facebook.net/"></svg><script src="en_US/fbevents.js"></script>`,
	`<video src="tr?id=1&ev=PageView"></video><base href="https://www.facebook.com/">`,
	// Behind a col, a template ignores start tags.
	`<template><col><xmp></template><script src="§S"></script></xmp>`, `<template><col><script></template><script src="§S"></script>`,
	// Attributes that load something on any element.
	`<meta style="background:url(§P)">`, `<link rel=x style="background:url(§P)">`, `<base style="background:url(§P)">`,
	`<script type=text/plain style="display:block;background:url(§P)">x</script>`, `<meta onfocus="§L" tabindex=0 autofocus>`,
	`<svg><rect><set attributeName=mask to="url(§P)"/></rect></svg>`, `<svg><animate attributeName=mask values="none;url(§P)"/></svg>`,
	`<link rel=next href="§S">`, `<script type=webbundle>{"source":"§S"}</script>`,
	// Preload scanners do not know that "/>" closes an element of svg.
	`<svg><script/><a title="</script><img src=§P>">`, `<svg><style/><a title="</style><img src=§P>">`, `<svg><title/><!--</title><img src=§P>-->`,
	// Documents and code inside data: URLs.
	`<iframe src='data:image/svg+xml,<svg xmlns="http://www.w3.org/2000/svg" xmlns:x="http://www.w3.org/1999/xhtml"><x:script src="§S"/></svg>'></iframe>`,
	`<iframe src='data:image/svg+xml,<?xml-stylesheet href="§S"?><svg xmlns="http://www.w3.org/2000/svg"/>'></iframe>`,
	`<iframe src="data:text/html;charset=utf-16le;base64,PABzAGMAcgBpAHAAdAA+AA=="></iframe>`,
	`<iframe src="data:text/html;ba&#10;se64,PHNjcmlwdCBzcmM9Imh0dHBzOi8vY29ubmVjdC5mYWNlYm9vay5uZXQvZW5fVVMvZmJldmVudHMuanMiPjwvc2NyaXB0Pg=="></iframe>`,
	`<link rel=stylesheet href="data:text/plain,@import '§S'">`,
	// Speculation rules.
	`<script type=speculationrules>{"prefetch":[{"source":"list","urls":["https:\\\\www.facebook.com\\tr?ev=1"]}]}</script>`,
	`<script type=speculationrules>{"prefetch":[{"source":"list","urls":["https://www.face\tbook.com/tr?ev=1"]}]}</script>`,
	`<a href="§P">x</a><script type=speculationrules>{"prefetch":[{"where":{"selector_matches":"a"},"eagerness":"immediate"}]}</script>`,
})

func TestRegressions(t *testing.T) {
	for _, in := range regressions {
		whole, _, ok := tryRewrite([]byte(in), 0, testPage(denied()))
		if !ok || string(whole) == in {
			t.Errorf("untouched: %s", in)
			continue
		}
		for _, size := range sizes[1:] {
			if out, _, _ := tryRewrite([]byte(in), size, testPage(denied())); !bytes.Equal(out, whole) {
				t.Errorf("size %d differs\nin:    %s\nwhole: %s\nout:   %s", size, in, whole, out)
			}
		}
		for _, scripting := range []bool{true, false} {
			for _, l := range live(whole, denied(), scripting) {
				t.Errorf("live: %s\nin:  %s\nout: %s", l, in, whole)
			}
		}
		if got := restore(whole); string(got) != in {
			t.Errorf("in:       %s\nout:      %s\nrestored: %s", in, whole, got)
		}
		if twice, r, _ := tryRewrite(whole, 0, testPage(denied())); !r.Diverged && !bytes.Equal(twice, whole) {
			t.Errorf("not idempotent\nonce:  %s\ntwice: %s", whole, twice)
		}
		if all, _, _ := tryRewrite([]byte(in), 3, testPage(granted())); string(all) != in {
			t.Errorf("granted, yet changed: %s\n%s", in, all)
		}
	}
}

// Tags longer than MaxHold are judged piece by piece: every cut must come to the
// same result, and one that hides something in another reading is refused.
func TestLongTags(t *testing.T) {
	pad := strings.Repeat("x ", 40<<10)
	run := strings.Repeat("x", 70000)
	for _, c := range []struct {
		in      string
		refused bool
	}{
		{`<noscript><p title="</noscript><script src=§S></script>` + pad + `"></noscript>`, true},
		{`<noscript><p title="` + pad + `</noscript><script src=§S></script>"></noscript>`, true},
		{`<noscript><p title="` + pad + `"><img src="§P"></noscript>`, false},
		{`<svg><path d="` + pad + `" cursor="url(§P)" mask="url(§P)"/></svg>`, false},
		{`<a` + run + `b="x style="background:url(§P)">`, true},
		{`<p ` + run + `zzz="a b='" style="background:url(§P)"'>`, true},
		{`<p a` + strings.Repeat(" ", 70000) + `="x" style="background:url(§P)">`, true},
		{`</p ` + pad + `>text<script src="§S"></script>`, false},
		{`</p ` + pad + `>te onx=1 xt<!-- ab --> text <script src="§S"></script>`, false},
		{`</p ` + run + `zzz="a b='" >` + strings.Repeat("text ", 20000) + `<i>x<script src="§S"></script>`, false},
		{`<base target="` + run + `" href="https://site.test/x/"><img src="§P">`, false},
		{`<base target="` + run + `" href="https://connect.facebook.net/"><script src="en_US/fbevents.js"></script>`, false},
		{`<input value="` + run + `" src="§P">`, false},
	} {
		in := expand([]string{c.in})[0]
		whole, _, ok := tryRewrite([]byte(in), 0, testPage(denied()))
		if ok == c.refused {
			t.Errorf("refused: %v: %.60s…%s", !ok, in, in[len(in)-60:])
		}
		if ok {
			if string(whole) == in || !bytes.Equal(restore(whole), []byte(in)) {
				t.Errorf("untouched or not restored: %.60s…%s", in, in[len(in)-60:])
			}
			if l := append(live(whole, denied(), true), live(whole, denied(), false)...); len(l) > 0 {
				t.Errorf("live: %.200q\n%.60s", l, in)
			}
		}
		for _, size := range []int{1, 2, 3, 5, 7, 1000, 4096, 4097, 32768} {
			out, _, ok2 := tryRewrite([]byte(in), size, testPage(denied()))
			if ok != ok2 || !bytes.Equal(out, whole) {
				t.Errorf("size %d differs (%v, %v): %.60s…%s", size, ok, ok2, in, in[len(in)-60:])
			}
		}
	}
}

// An empty element of svg has no text to wait for.
func TestEmptyElementsHoldNothing(t *testing.T) {
	for _, in := range []string{`<svg><style/></svg>`, `<svg><script/></svg>`, `<svg><script /></svg><script src=/a.js></script>`, `</p ` + strings.Repeat("x ", 40000) + `><!-- `} {
		rw := New(Options{})
		rw.Reset(discard{}, testPage(denied()))
		if _, err := rw.Write([]byte(in)); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if _, err := rw.Write([]byte("<p>" + strings.Repeat("x", 4000) + "</p>")); err != nil {
				t.Fatal(err)
			}
		}
		if rw.Held() > 100 {
			t.Errorf("%.40s: %d bytes held", in, rw.Held())
		}
	}
}

// A stub that an event handler needs goes where a script may stand.
func TestLateStubs(t *testing.T) {
	const button = `<button onclick="fbq('track','x')">a</button>`
	for in, want := range map[string]bool{
		button: true, button + `</body></html>`: true, button + `<p>x<script nonce="abc">go()</script>`: true,
		button + `<textarea>abc`: false, button + `<plaintext>abc`: false, button + `<style>a{}`: false, button + `<!-- x`: false, button + `<p title="`: false,
		`<frameset><frame src=/a></frameset>` + button: false, `<template>` + button: false, `<noscript>` + button: false, `<svg>` + button: false,
	} {
		out, _ := rewrite(t, []byte(in), 0, testPage(denied()))
		if got := bytes.Contains(out, []byte("<script ")) && bytes.Contains(out, []byte("data-cg-stub=meta-pixel")); got != want {
			t.Errorf("stub: %v\nin:  %s\nout: %s", got, in, out)
		}
		if strings.Contains(in, "nonce") && !bytes.Contains(out, []byte(`<script nonce="abc" data-cg-stub`)) {
			t.Errorf("no nonce: %s", out)
		}
	}
}

// The second byte of a character may look like a backslash; in a page that says
// so it is none.
func TestDoubleBytes(t *testing.T) {
	for _, in := range expand([]string{
		"<style>a{content:\"\x95\x5c\"}b{background:url(§P)}c{content:\"x\"}</style>",
		"<p style='font-family:\"\x95\x5c\";background:url(§P)'>",
		"<script>var a='\x95\x5c';§L</script>",
	}) {
		for _, charset := range []string{"shift_jis", "big5", "gbk", "gb18030"} {
			p := testPage(denied())
			p.Charset = charset
			if out, _, ok := tryRewrite([]byte(in), 3, p); !ok || string(out) == in {
				t.Errorf("%s: untouched: %q", charset, in)
			} else if string(restore(out)) != in {
				t.Errorf("%s: not restored: %q", charset, out)
			}
		}
	}
}
