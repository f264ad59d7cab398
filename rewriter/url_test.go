package rewriter

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/consentgate/consentgate/consent"
	"github.com/consentgate/consentgate/policy"
)

// The page's own host, however the request spells it, is the host of what the
// page names without one.
func TestOwnHostSpellings(t *testing.T) {
	for _, host := range []string{"site.test", "site.test:8443", "site.test.", "Site.TEST", "SITE.test.:8443"} {
		var b baseURL
		b.reset("https", host, "/dir/page.html")
		for _, ref := range []string{"a.js", "/a.js", "?q", "../b.js"} {
			var loc policy.Location
			if kind := b.resolve([]byte(ref), &loc); kind != urlNet || string(loc.Host) != "site.test" {
				t.Errorf("%s on %s: %s", ref, host, loc.Host)
			}
		}
		var out bytes.Buffer
		p := testPage(policyOf(t, "version: \"1\"\nunknown: block\n"))
		p.Host = host
		rw := New(Options{})
		rw.Reset(&out, p)
		const in = `<script src="/app.js"></script><img src="a.png"><link rel=stylesheet href="../s.css">`
		if err := writeCut(rw, []byte(in), nil); err != nil || out.String() != in {
			t.Errorf("on %s the site's own resources are held: %s %v", host, out.String(), err)
		}
	}
}

func policyOf(t *testing.T, text string) policy.Bound {
	t.Helper()
	p, err := policy.Parse("policy.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p.Bind(consent.State{}, testHost)
}

func TestResolve(t *testing.T) {
	var b baseURL
	b.reset("https", "site.test:8443", "/dir/page.html")
	const fb = "connect.facebook.net"
	for _, c := range []struct {
		in   string
		kind urlClass
		host string
		path string
	}{
		{"", urlEmpty, "", ""}, {" \t\n", urlEmpty, "", ""}, {"#frag", urlEmpty, "", ""},
		{"a.js", urlNet, "site.test", "/dir/a.js"}, {"/a.js?x", urlNet, "site.test", "/a.js"}, {"../a.js", urlNet, "site.test", "/a.js"},
		{"?q", urlNet, "site.test", "/dir/page.html"}, {"//cdn.test/a b.js", urlNet, "cdn.test", "/a b.js"},
		{"https://" + fb + "/x", urlNet, fb, "/x"}, {"HTTP://" + strings.ToUpper(fb) + "/x", urlNet, fb, "/x"},
		{"//" + fb, urlNet, fb, "/"}, {"//" + fb + "?a", urlNet, fb, "/"}, {"//" + fb + "#a", urlNet, fb, "/"},
		{"//" + fb + ".", urlNet, fb, "/"}, {"//" + fb + ":443/x", urlNet, fb, "/x"}, {"//u:p@" + fb + "/x", urlNet, fb, "/x"},
		{`\\` + fb + `\x`, urlNet, fb, "/x"}, {`/\` + fb + "/x", urlNet, fb, "/x"}, {"http:" + fb + "/x", urlNet, fb, "/x"},
		{"http:/" + fb + "/x", urlNet, fb, "/x"}, {"https:///" + fb + "/x", urlNet, fb, "/x"}, {"ht\ntps://connect.face\tbook.net/x", urlNet, fb, "/x"},
		{"https://connect%2Efacebook.net/x", urlNet, fb, "/x"}, {"https://connect。facebook．net/x", urlNet, fb, "/x"},
		{"https://ｃonnect.facebook.net/x", urlNet, fb, "/x"}, {"https://" + fb + "/a/../x", urlNet, fb, "/x"}, {"https://" + fb + "/a/%2e%2E/x", urlNet, fb, "/x"},
		{"https://" + fb + `\x`, urlNet, fb, "/x"}, {"wss://" + fb + "/x", urlNet, fb, "/x"}, {"https://xn--mnchen-3ya.test/", urlNet, "xn--mnchen-3ya.test", "/"},
		{"https://münchen.test/", urlNet, "xn--mnchen-3ya.test", "/"}, {"https://2130706433/", urlNet, "127.0.0.1", "/"}, {"https://0x7f.1/", urlNet, "127.0.0.1", "/"},
		{"https://[::1]/", urlNet, "[::1]", "/"}, {"https://a\\@" + fb + "/x", urlNet, "a", "/@" + fb + "/x"},
		{"data:text/html,x", urlData, "", ""}, {"DATA:,x", urlData, "", ""}, {"da\nta:,x", urlData, "", ""}, {"javascript:x()", urlScript, "", ""},
		{" javascript:x()", urlScript, "", ""}, {"java\tscript:x()", urlScript, "", ""}, {"blob:https://x/1", urlLocal, "", ""}, {"about:blank", urlLocal, "", ""},
		{"mailto:a@b", urlLocal, "", ""}, {"https://", urlBad, "", ""}, {"https://a b/", urlBad, "", ""}, {"https://%zz/", urlBad, "", ""},
		{"https://{{host}}/x", urlNet, "{{host}}", "/x"}, {"https://a|b/", urlBad, "", ""},
	} {
		var loc policy.Location
		got := b.resolve([]byte(c.in), &loc)
		if got != c.kind {
			t.Errorf("%q: class %d, want %d", c.in, got, c.kind)
			continue
		}
		if got == urlNet && (string(loc.Host) != c.host || string(loc.Path) != c.path) {
			t.Errorf("%q: %s%s, want %s%s", c.in, loc.Host, loc.Path, c.host, c.path)
		}
	}
}

func TestBase(t *testing.T) {
	var b baseURL
	b.reset("https", "site.test", "/dir/")
	b.rebase([]byte("//cdn.test/x/"))
	b.rebase([]byte("//other.test/")) // only the first counts
	var loc policy.Location
	if b.resolve([]byte("a.js"), &loc) != urlNet || string(loc.Host) != "cdn.test" || string(loc.Path) != "/x/a.js" {
		t.Errorf("%s%s", loc.Host, loc.Path)
	}
	b.reset("https", "site.test", "/dir/")
	b.rebase([]byte("javascript:x"))
	if b.resolve([]byte("a.js"), &loc) != urlNet || string(loc.Host) != "site.test" {
		t.Errorf("a base that is no web address moved the page to %s", loc.Host)
	}
}

// TestBaseAsParser compares what follows from a base with what the parser says.
func TestBaseAsParser(t *testing.T) {
	for _, base := range []string{
		"https://h.test/d/", "http://h.test", " HTTPS://H.test/a/b?q#f", "https://h.test:8080/x/", "https://h.test./y/", "//h.test/d/", "/d/../e/", "d/",
		"https://h.test/a/../b/", "https://h.test\\x/", "https://user@h.test/", "https://1.2.3.4/", "https://xn--a.test/", "ftp://h.test/", "", "?q", "https:h/",
	} {
		for _, ref := range []string{"x.js", "../y", "/z?q", "?r", "//o.test/p"} {
			var fast baseURL
			fast.reset("https", "site.test", "/dir/page.html")
			fast.rebase([]byte(base))
			full := "https://site.test/dir/page.html"
			if u, err := parser.ParseRef(full, base); err == nil && (u.Scheme() == "http" || u.Scheme() == "https") {
				full = u.Href(true)
			}
			u, err := parser.ParseRef(full, ref)
			if err != nil {
				t.Fatal(err)
			}
			var loc policy.Location
			if fast.resolve([]byte(ref), &loc) != urlNet || string(loc.Scheme) != u.Scheme() || string(loc.Host) != trimDot(u.Hostname()) || string(loc.Path) != u.Pathname() {
				t.Errorf("%s on %q: %s://%s%s, the parser says %s", ref, base, loc.Scheme, loc.Host, loc.Path, u)
			}
		}
	}
}

// A page's own address is what a visitor makes it, and is copied and parsed for
// every odd reference in the page.
func TestPageAddressIsBounded(t *testing.T) {
	var b baseURL
	b.reset("https", strings.Repeat("a", 1<<16), "/"+strings.Repeat("dir/", 1<<16)+"page.html")
	if n := len(b.address()); n > maxBase+maxAuthority+len("https://") {
		t.Errorf("%d bytes", n)
	}
	b.reset("https", "site.test", "/"+strings.Repeat("dir/", 1<<16)+"page.html")
	var loc policy.Location
	for _, ref := range []string{"a\tb.png", "x.png", "../x.png", "https://a--b.test/x"} {
		if b.resolve([]byte(ref), &loc) != urlNet || len(loc.Path) > maxBase+len(ref) {
			t.Errorf("%q: %d bytes of path", ref, len(loc.Path))
		}
	}
	if b.resolve([]byte("/own.js"), &loc) != urlNet || string(loc.Host) != "site.test" || string(loc.Path) != "/own.js" {
		t.Errorf("%s%s", loc.Host, loc.Path)
	}
}

// FuzzResolve compares the fast path with the full parser.
func FuzzResolve(f *testing.F) {
	for _, s := range []string{"/a", "//h.test/p?q#f", "https://a.b/c", "a/./b", "x:y", "http:a", "//a:80", "//1.2", "https://A_b.c/%2e", "//a..b/", "?", "a b", "//-a.b-/", "//A.b/C/../D", "//A_B.c:80", "//XN--A.b", "//a.b/../c?d", `/a\..\b`, `/\a.b/c`, `a\b`, `\\a.b\c`} {
		f.Add([]byte(s))
	}
	f.Fuzz(sameAsParser)
}

// TestResolveDots takes every way to put dot segments together.
func TestResolveDots(t *testing.T) {
	segments := []string{"", ".", "..", "%2e", ".%2E", "%2E.", "%2e%2e", "a", "...", ".b", "%2f", `a\..`, `\`}
	var walk func(path string, depth int)
	walk = func(path string, depth int) {
		for _, before := range []string{"", "/", "//h.test/", "https://h.test/c/", "https://h.test"} {
			sameAsParser(t, []byte(before+path))
			sameAsParser(t, []byte(before+path+"?../x"))
			sameAsParser(t, []byte(before+path+"#/.."))
		}
		if depth > 0 {
			for _, s := range segments {
				walk(path+"/"+s, depth-1)
			}
		}
	}
	for _, s := range segments {
		walk(s, 2)
	}
}

// sameAsParser checks that the fast path finds what the parser does.
func sameAsParser(t *testing.T, raw []byte) {
	t.Helper()
	if len(raw) > maxSlow/4 {
		return
	}
	var fast, full baseURL
	fast.reset("https", "site.test", "/dir/page.html")
	full.reset("https", "site.test", "/dir/page.html")
	var a, b policy.Location
	got, want := fast.resolve(raw, &a), full.slow(raw, &b)
	if got == urlEmpty {
		return // the parser resolves it to the page itself
	}
	if got != want {
		t.Fatalf("%q: class %d, the parser says %d", raw, got, want)
	}
	if got == urlNet && (string(a.Host) != string(b.Host) || string(a.Scheme) != string(b.Scheme)) {
		t.Errorf("%q: %s://%s, the parser says %s://%s", raw, a.Scheme, a.Host, b.Scheme, b.Host)
	}
	if got == urlNet && !bytes.ContainsAny(raw, " \"<>`{}|^'\x7f") && !hasHigh(raw) && (string(a.Path) != string(b.Path) || string(a.Query) != string(b.Query)) {
		t.Errorf("%q: %s ? %s, the parser says %s ? %s", raw, a.Path, a.Query, b.Path, b.Query)
	}
}

func hasHigh(s []byte) bool {
	for _, c := range s {
		if c >= 0x80 {
			return true
		}
	}
	return false
}

// FuzzDecodeAttr compares the decoding of character references with the
// tokenizer's.
func FuzzDecodeAttr(f *testing.F) {
	for _, s := range []string{"a&amp;b", "&copy=1", "&copy;", "&copy", "&copyx", "&notit;", "&#x41;&#65", "&#0;", "&#x110000;", "&#00000000000065;", "&ampamp;", "&", "&;", "&#;", "&#x;", "&semi;", "&NotEqualTilde;", "&#128;", "&#X81", "&period;&Tab;&NewLine;"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if strings.ContainsAny(raw, "\"\x00\r") {
			return // the end of the value, and what the input stream changes
		}
		z := html.NewTokenizer(strings.NewReader(`<a x="` + raw + `">`))
		z.Next()
		z.TagName()
		_, want, _ := z.TagAttr()
		var pos []int
		got := decodeAttr(nil, []byte(raw), &pos)
		if string(got) != string(want) {
			t.Errorf("%q: %q, the tokenizer says %q", raw, got, want)
		}
		if len(pos) != len(got)+1 || pos[len(got)] != len(raw) {
			t.Errorf("%q: %d positions for %d bytes", raw, len(pos), len(got))
		}
	})
}
