package rewriter

import (
	"strings"
	"testing"
)

// TestFollowed: of links and forms only code is held.
func TestFollowed(t *testing.T) {
	for in, held := range map[string]bool{
		`<a href="javascript:§L">`:                                                               true,
		`<a href=" 	java&Tab;script&colon;§L">`:                                                  true,
		"<a href='JAVA\nSCRIPT\t:fetch(\"§S\")'>":                                                true,
		`<a href="javascript:fetch('%68ttps://connect.facebook.net/en_US/fbevents.js')">`:        true,
		`<a href="javascript:'<script src=§S></script>'">`:                                       true,
		`<a href="javascript:'<p>x</p>'">`:                                                       false,
		`<a href="javascript:void(0)">`:                                                          false,
		`<a href="javascript:go('§P')">`:                                                         false, // text
		`<a href="xjavascript:§L">`:                                                              false,
		`<a href="./javascript:§L">`:                                                             false,
		`<a href="javascript§L">`:                                                                false,
		`<a href="/x" title="javascript:§L">`:                                                    false,
		`<a href="/own" href="javascript:§L">`:                                                   true, // the first counts for the parser; both are judged
		`<button formaction="javascript:§L">`:                                                    true,
		`<button action="javascript:§L">`:                                                        true, // no such attribute, and no harm
		`<p href="javascript:§L">`:                                                               false,
		`<base href="javascript:§L">`:                                                            false,
		`<svg><a xlink:href="javascript:§L">x</a></svg>`:                                         true,
		`<svg><a><animate attributeName=href to="javascript:go();§L"/></a></svg>`:                true,
		`<svg><animate values="javascript:x;javascript:y" /></svg>`:                              false,
		`<svg><animate values="` + strings.Repeat("javascript:x;", maxAnimated) + `" /></svg>`:   false,
		`<svg><animate values="` + strings.Repeat("javascript:x;", maxAnimated+1) + `" /></svg>`: true,
	} {
		in = signs(in, true)
		out, _ := rewrite(t, []byte(in), 0, testPage(denied()))
		if got := string(out) != in; got != held {
			t.Errorf("%.200s: held is %v: %.300s", in, got, out)
		}
		if string(restore(out)) != in {
			t.Errorf("not restored: %.200s", out)
		}
	}
}

// A link that calls a held vendor's global gets its stub, as event handlers do.
func TestFollowedStubs(t *testing.T) {
	const in = `<a href="javascript:fbq('track','x')">a</a>`
	if out, _ := rewrite(t, []byte(in), 0, testPage(denied())); !strings.Contains(string(out), "data-cg-stub=meta-pixel") {
		t.Errorf("no stub: %s", out)
	}
}

// TestImportMap: the addresses of an import map are held one by one.
func TestImportMap(t *testing.T) {
	for in, want := range map[string]string{
		`{"imports":{"a":"/a.js","b":"§S","c":"./c.js"}}`:                         `{"imports":{"a":"/a.js","b":"` + cssPrefix + `§S","c":"./c.js"}}`,
		`{"imports":{"a":"§S","b":"§S"}}`:                                         `{"imports":{"a":"` + cssPrefix + `§S","b":"` + cssPrefix + `§S"}}`,
		`{"imports":{"b":"https:\/\/connect.facebook.net\/en_US\/fbevents.js"}}`:  `{"imports":{"b":"` + cssPrefix + `https:\/\/connect.facebook.net\/en_US\/fbevents.js"}}`,
		`{"imports":{"b":"\u0068ttps://connect.facebook.net/en_US/fbevents.js"}}`: `{"imports":{"b":"` + cssPrefix + `\u0068ttps://connect.facebook.net/en_US/fbevents.js"}}`,
		`{"imports":{"§S":"/own.js"}}`:                                            ``,
		`{"imports":{"§S" : "/own.js"},"integrity":{"§S":"sha384-x"}}`:            ``,
		`{"imports":{"b":"data:text/javascript,export default 1"}}`:               ``,
		`{"imports":{"b":"data:text/javascript,fetch('§S')"}}`:                    `{"imports":{"b":"` + cssPrefix + `data:text/javascript,fetch('§S')"}}`,
		`{"imports":{"b":"§S`:                                                     ``, // no JSON
		`not JSON §S`:                                                             ``,
	} {
		in, want = `<script type=importmap>`+signs(in, true)+`</script>`, `<script type=importmap>`+signs(want, true)+`</script>`
		if want == `<script type=importmap></script>` {
			want = in
		}
		for _, size := range sizes {
			out, _ := rewrite(t, []byte(in), size, testPage(denied()))
			if string(out) != want {
				t.Errorf("size %d\nin:   %s\nout:  %s\nwant: %s", size, in, out, want)
			}
			if twice, _ := rewrite(t, out, 0, testPage(denied())); string(twice) != string(out) {
				t.Errorf("not idempotent: %s", twice)
			}
		}
	}
	// In svg the text is parsed, so that its bytes cannot be edited one by one.
	in := signs(`<svg><script type=importmap>{"imports":{"b":"&#104;ttps://connect.facebook.net/en_US/fbevents.js"}}</script></svg>`, true)
	if out, _ := rewrite(t, []byte(in), 0, testPage(denied())); !strings.Contains(string(out), `<script type=text/plain data-cg-vendor=meta-pixel`) || string(restore(out)) != in {
		t.Errorf("%s", out)
	}
}
