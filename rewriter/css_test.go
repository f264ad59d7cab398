package rewriter

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tdewolff/parse/v2"
	"github.com/tdewolff/parse/v2/css"
)

const cssP, cssS = "https://p.test/tr?a=1", "https://s.test/x.css"

func expandCSS(s string) string {
	return strings.NewReplacer("§P", cssP, "§S", cssS, "§40k", strings.Repeat(`\"`, 40000), "§(64", strings.Repeat("x(", 70), "§)64", strings.Repeat(")", 70)).Replace(s)
}

// cssLive are style sheets whose first §P or §S a browser fetches.
var cssLive = []string{
	`a{b:url(§P)}`, `a{b:url( §P )}`, `a{b:URL("§P")}`, `a{b:url( '§P' )}`, `@import "§S";`, `@import url(§S);`, `@IMPORT/**/'§S'`, `a{b:url(§P`,
	`a{b:image-set("§P" 1x)}`, `a{b:-webkit-image-set('§P' 1x)}`, `a{b:src("§P")}`, `a{b:cross-fade("§P",red)}`, `a{b:image(ltr "§P")}`,
	`a{b:image-set(type("image/png") "§P" 1x)}`, `a{b:image-set("§P" type("image/png"))}`, `a{b:image-set(url(/x) 1x,"§P" 2x)}`,
	`a{content:"§40k";b:url(§P)}`, `a{content:"§40k\";b:url(/x)";c:url(§P)}`,
	`a{b:image-set(/**/"§P" 1x)}`, `a{b:image-set(u\72l(§P) 1x)}`, `a{b:image-set(u\000072 l(§P) 1x)}`, `a{b:\75\72\6c(§P)}`, "a{b:\\75\r\n\\000072\r\n\\6C\f(§P)}",
	`a{b:i\6d age-set("§P" 1x)}`, `a{b:\00002d\000077\000065\000062\00006b\000069\000074\00002d\000063\000072\00006f\000073\000073\00002d\000066\000061\000064\000065("§P",red)}`,
	`a{b:v\61r(--a,url(§P))}`, `a{b:v\61r(--a,");x:y(");c:url(§P)}`,
	`a{b:url(a ");background:url(§P);c:"x")}`, `a{b:url(a");background:url(§P);c:"x")}`, `a{b:url(a\)b);c:url(§P)}`, `a{b:url(/**/");c:url(§P)}`,
	`@\69mport "§S";`, `@\000069\00006d\000070\00006f\000072\000074"§S";`, `@i\mport "§S"`, `@import/*;*/"§S"`, `@charset "x";@import "§S";`,
	"a{content:\"\\\r\n\"} b{background:url(§P)}", "a{content:\"\\\n\"} b{background:url(§P)}", "a{content:\"\\\f\"} b{c:url(§P)}", "a{content:\"\\\r\"} b{c:url(§P)}",
	"a{content:\"\\66\n\";b:url(§P)}", "a{content:\"\\66\r\n\";b:url(§P)}", "a{content:\"x\n;b:url(§P)}", "a{content:\"\\0000661\n;b:url(§P)}",
	`a{--e:"§P";b:image-set(var(--e) 1x)}`, `a{--e: red "§P"}`, `--e:'§P'`, `a{/**/ --e/**/:"§P"}`, `a{c:d;--e:f(;"§P")}`, `a{--e:{}"§P"}`, `a{\2d-e:"§P"}`, `a{-\2d e:"§P"}`,
	`@function --f(){result:"§P"}`, `@function --f(){@media all{a:b;result:"§P"}}`, `@function --f(--a:"§P"){}`,
	`@f\75nction --f(){x:y;result:"§P"}`, `@property --e{syntax:"*";inherits:false;initial-value:"§P"}`,
	`a{b:image-set(var(--e,{}) "§P" 1x)}`, `a{b:image-set(var(--e,;) "§P" 1x)}`, `a{b:image-set(var(--e,"§P") 1x)}`, `a{b:image-set(if(style(--x:y):"§P";else:"z") 1x)}`,
	`a{b:(;}c{d:image-set("§P" 1x)}`, `a{b:)}c{d:image-set("§P" 1x)}`, `a{b:§(64"§P"§)64}`, `a{b:§(64§)64;c:image-set("§P" 1x)}`, `a{b:image-set(§(64§)64 "§P" 1x)}`,
	`a{b:#url(a "b)") ;c:url(§P);d:"x"}`, `a{b:#u\72l(a "b)") ;c:url(§P);d:"x"}`, `a{b:1url(a "b)") ;c:url(§P);d:"x"}`, `a{b:1\75rl(a "b)") ;c:url(§P);d:"x"}`,
	`@url(a "b)");c{d:url(§P);e:"x"}`, `<!--url(a "b)" x"){}d{e:url(§P)}/*"*/`, "a{b:\x00url(a \"b)\") ;c:url(§P);d:\"x\"}", `a{b:ur\006c x(a "b)") ;c:url(§P)}`,
	`a{b:` + strings.Repeat("x", 300) + `url(a "b)") ;c:url(§P);d:"x"}`, `a{b:` + strings.Repeat(`\78 `, 300) + `url(a "b)") ;c:url(§P);d:"x"}`,
	`a{b:/*/;c:url(x*/url(§P)}`, `/**/*{b:url(§P)}`, `a{b:"/*";c:url(§P);d:"*/"}`, `a{b:\" url(§P);c:"x"}`, `a{b:url(x` + strings.Repeat("y", 3000) + `);c:url(§P)}`,
	`a{b:url(` + strings.Repeat(" ", 3000) + `"x)" );c:url(§P)}`, `a{b:url(` + strings.Repeat(" ", 3000) + `§P)}`, `/*` + strings.Repeat("*", 3000) + `/a{b:url(§P)}`,
	`a{--e:"` + strings.Repeat("x", 3000) + `§P"}`,
}

// cssInert are style sheets in which nothing is a URL.
var cssInert = []string{
	``, `a{content:"§P"}`, `/* url(§P) */`, `a{content:"url(§P)"}`, `a{b:xurl(§P)}`, `a{b:url-x(§P)}`, `a[href="§P"]{}`, `a{b:var(--x,"§P")}`, `@namespace "§S";`, `@imports "§S";`, `@import;a{b:"§S"}`,
	`a{--e:"hello"}`, `a{--e:"\f101"}`, `a{--e:"a/b"}`, `a{--e:"x";content:"§P"}`, `a{--e:{};content:"x"}`, `a{-e:"§P"}`, `@function --f(){}a{content:"§P"}`, `@property --e{initial-value:x}a{content:"§P"}`,
	`a{b:image-set(type("§P"))}`, `a{b:type("§P")}`, `a{b:\url\x("§P")}`, `a{b:v\61r("§P")}`, "a{b:\"\\\r\nurl(§P)\"}", "a{b:\"\\66\nurl(§P)\"}", `a{b:#url(§P)}`, `a{b:1url(§P)}`, `a{b:#src("§P")}`,
	"a{b:u\\\nr(" + `"§P")}`, `a{b:§(64§)64;content:"§P"}`, `a{content:"§40k url(§P)"}`, `@font-face{src:local("§P")}`, `a{--e:"http";b:"://"}`,
}

// feedCSS scans b the way styleText does: b grows, and the scanner goes on where it
// stopped.
func feedCSS(s cssScanner, b []byte, limit int, cuts func(at int) int) []cssHit {
	var hits []cssHit
	i, end := 0, 0
	for {
		end = min(len(b), end+max(1, cuts(end)))
		piece := b[i:end:end] // nothing before i is kept
		var got []cssHit
		var n int
		n, got = s.scan(piece, 0, end == len(b), limit, nil)
		for _, h := range got {
			hits = append(hits, cssHit{h.start + i, h.end + i, h.cut})
		}
		i += n
		if end == len(b) {
			return hits
		}
	}
}

// sameHits compares hits; the end of a token longer than limit may differ.
func sameHits(a, b []cssHit, limit int) bool {
	return slices.EqualFunc(a, b, func(x, y cssHit) bool {
		return x.start == y.start && (x.end == y.end || max(x.end, y.end)-x.start >= limit-8)
	})
}

func wholeCSS(s cssScanner, b []byte) []cssHit {
	n, hits := s.scan(b, 0, true, len(b), nil)
	if n != len(b) {
		panic("not all was scanned")
	}
	return hits
}

// checkSplits compares the hits of the whole with those of pieces.
func checkSplits(t *testing.T, s cssScanner, b []byte, sizes []int) {
	t.Helper()
	for _, limit := range []int{minHold, DefaultMaxHold} {
		c := s
		_, whole := c.scan(b, 0, true, limit, nil)
		if got := feedCSS(s, b, limit, func(int) int { return len(b) }); !sameHits(got, whole, limit) {
			t.Errorf("limit %d\n%.300q\nwhole %v\ngot   %v", limit, b, whole, got)
		}
		for _, size := range sizes {
			if got := feedCSS(s, b, limit, func(int) int { return size }); !sameHits(got, whole, limit) {
				t.Errorf("limit %d size %d\n%.300q\nwhole %v\ngot   %v", limit, size, b, whole, got)
				return
			}
		}
	}
}

func cssSizes(n int) []int {
	if n > 2000 {
		return []int{7, 1024, 4097, n - 1}
	}
	var all []int
	for size := 1; size <= n; size++ {
		all = append(all, size)
	}
	return all
}

func TestCSSLive(t *testing.T) {
	for _, in := range cssLive {
		b := []byte(expandCSS(in))
		// The case is about the last URL.
		at := max(bytes.LastIndex(b, []byte(cssP)), bytes.LastIndex(b, []byte(cssS)))
		found := slices.ContainsFunc(wholeCSS(cssScanner{}, b), func(h cssHit) bool {
			return h.start == at || h.start < at && at < h.end && strings.Trim(string(b[h.start:at]), "x") == ""
		})
		if !found {
			t.Errorf("not found: %.200q %v", b, wholeCSS(cssScanner{}, b))
		}
		checkSplits(t, cssScanner{}, b, cssSizes(len(b)))
	}
}

func TestCSSInert(t *testing.T) {
	for _, in := range cssInert {
		b := []byte(expandCSS(in))
		if hits := wholeCSS(cssScanner{}, b); len(hits) > 0 {
			t.Errorf("%.200q: %q", b, b[hits[0].start:hits[0].end])
		}
		checkSplits(t, cssScanner{}, b, cssSizes(len(b)))
	}
}

func TestCSSDoubleByte(t *testing.T) {
	for _, c := range []struct {
		in       string
		shiftJIS bool
		live     bool
	}{
		{"a{content:\"\x95\x5c\";b:url(§P)}", false, true},
		{"a{content:\"\x95\x5c\";b:url(§P)}", true, true},
		{"a{content:\"\x95\x95\\\";b:url(§P)\"}", false, false},
		{"a{content:\"\\\x95\x5c\";b:url(§P)}", false, true},
		{"a{content:\"\xb1\\\";b:url(§P)\"}", true, false},
		{"a{content:\"\x95\";b:url(§P)}", false, true},
		{"a{b:\x95\x5curl(a \"b)\") ;c:url(§P);d:\"x\"}", false, true},
		{"a{b:\x95url(a \"b)\") ;c:url(§P);d:\"x\"}", false, true},
		{"a{b:url(\x95\x5c);c:url(§P)}", false, true},
		{"a{b:\x95\x7b;--e:\"§P\"}", false, true},
		{"a{--e:\"\x95\x5c§P\"}", false, true},
	} {
		s := cssScanner{doubleByte: true, shiftJIS: c.shiftJIS}
		b := []byte(expandCSS(c.in))
		at := bytes.LastIndex(b, []byte(cssP))
		found := slices.ContainsFunc(wholeCSS(s, b), func(h cssHit) bool { return h.start <= at && at < h.end })
		if found != c.live {
			t.Errorf("%q: found %v", b, found)
		}
		checkSplits(t, s, b, cssSizes(len(b)))
	}
	s := cssScanner{doubleByte: true}
	if got := s.decode(nil, []byte("\x95\\2f\\2f")); string(got) != "\x95\\2f/" {
		t.Errorf("decoded %q", got)
	}
	for label, want := range map[string]bool{"shift_jis": true, "Big5": true, "GBK": true, "gb18030": true, "euc-kr": false, "utf-8": false, "": false} {
		if doubleByteCharset(label) != want {
			t.Error(label)
		}
	}
}

func TestDecodeCSS(t *testing.T) {
	for in, want := range map[string]string{
		`a`: `a`, `\61`: `a`, `\61 b`: `ab`, "\\61\r\nb": `ab`, "\\61\rb": `ab`, `\000061b`: `ab`, `\0000611`: `a1`, `\/\/x`: `//x`, "a\\\nb": `ab`, "a\\\r\nb": `ab`, "a\\\rb": `ab`,
		`\é`: `é`, `\0`: "\ufffd", `\ffffff`: "\ufffd", `\d800`: "\ufffd", `a\`: `a\`, `\E9`: `é`,
	} {
		if got := new(cssScanner).decode(nil, []byte(in)); string(got) != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// The scanner takes eight bytes at a time: what it looks for must be seen wherever
// it stands among them.
func TestCSSEveryOffset(t *testing.T) {
	for pad := range 40 {
		for _, in := range []string{`a{§--e:"` + cssP + `"}`, `a{§-\2d e:"` + cssP + `"}`, `a{b:§url(` + cssP + `)}`, `§@import "` + cssS + `";`, `a{b:c--§d}e{--f:"` + cssP + `"}`} {
			for _, fill := range []string{" ", "x:y;", "-"} {
				b := []byte(strings.ReplaceAll(in, "§", strings.Repeat(fill, pad)[:pad]))
				if fill != " " && !strings.Contains(in, "b:") || pad%4 != 0 && fill == "x:y;" {
					continue // the padding would be part of a name
				}
				if fill == "-" && strings.Contains(in, "§url") {
					continue
				}
				if got := wholeCSS(cssScanner{}, b); len(got) != 1 {
					t.Errorf("%q: %v", b, got)
				}
				checkSplits(t, cssScanner{}, b, cssSizes(len(b)))
			}
		}
	}
}

func TestCSSURLLike(t *testing.T) {
	var s cssScanner
	for in, want := range map[string]bool{
		`//x`: true, `/x`: false, `a/b/c`: false, "/\t/x": true, "/\\\n/x": true, `/\/x`: true, `\2f\2f x`: true, `\\\\x`: true, `http:x`: true, `HTTPS:x`: true, `\68ttp:x`: true,
		"ht\ttp\\3a x": true, `http`: false, `http ://`: true, `httpx:`: false, `hhttp:`: true, `:`: false, `httpss:`: false, ``: false, `\f101`: false,
	} {
		if s.urlLike([]byte(in)) != want {
			t.Errorf("%q: not %v", in, want)
		}
	}
}

func TestCSSAllocatesNothing(t *testing.T) {
	b := []byte(expandCSS(`@\69mport "§S";a{--e:"§P";b:u\72l(§P);c:image-set("§P" 1x)}`))
	hits := make([]cssHit, 0, 16)
	if n := testing.AllocsPerRun(100, func() {
		var s cssScanner
		s.scan(b, 0, true, len(b), hits)
	}); n > 0 {
		t.Error(n)
	}
}

// lexedURLs are the URL tokens that another lexer finds, by the start of their
// text.
func lexedURLs(b []byte) (starts []int) {
	l := css.NewLexer(parse.NewInputBytes(slices.Clone(b)))
	at := 0
	for {
		tt, lexeme := l.Next()
		if tt == css.ErrorToken {
			return starts
		}
		if tt == css.URLToken && len(lexeme) > 4 {
			n := 4
			for n < len(lexeme) && isCSSSpace(lexeme[n]) {
				n++
			}
			if n < len(lexeme) && (lexeme[n] == '"' || lexeme[n] == '\'') {
				n++
			}
			starts = append(starts, at+n)
		}
		at += len(lexeme)
	}
}

var cssPieces = []string{
	`url(`, `URL( `, `image-set(`, `var(`, `"`, `'`, `(`, `)`, `\`, `\"`, "\r", "\n", "\r\n", `/*`, `*/`, `/`, `@import `, `@\69mport`, `;`, `{`, `}`, `--e:`, `#`, `-`, `1`, `<!--`, `-->`,
	`https://p.test/`, `u\72l(`, `\72 `, `@function`, "\x00", "\x95", "\x95\\", ` `, `x`, `a{b:`, `@`, `src(`, `//`, `type(`, `é`,
}

func mutate(r *rand.Rand, b []byte) []byte {
	b = slices.Clone(b)
	for range 1 + r.IntN(4) {
		i := r.IntN(len(b) + 1)
		switch p := cssPieces[r.IntN(len(cssPieces))]; r.IntN(3) {
		case 0:
			b = slices.Insert(b, i, []byte(p)...)
		case 1:
			b = slices.Delete(b, i, min(len(b), i+1+r.IntN(3)))
		case 2:
			b = append(b[:i:i], append([]byte(p), b[min(len(b), i+len(p)):]...)...)
		}
	}
	return b
}

func TestCSSSplitsOfMutations(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	cases := slices.Concat(cssLive, cssInert)
	for n := range 20000 {
		in := cases[r.IntN(len(cases))]
		if len(in) > 500 || strings.Contains(in, "§40k") {
			continue
		}
		b := mutate(r, []byte(expandCSS(in)))
		s := cssScanner{doubleByte: n%3 > 0, shiftJIS: n%3 == 1}
		checkSplits(t, s, b, []int{1, 2, 3 + r.IntN(20)})
		if t.Failed() {
			return
		}
	}
}

func FuzzCSS(f *testing.F) {
	for _, in := range slices.Concat(cssLive, cssInert) {
		if b := []byte(expandCSS(in)); len(b) < 4000 {
			f.Add(b, uint64(0), byte(0))
			f.Add(b, uint64(len(b)), byte(2))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, seed uint64, enc byte) {
		if len(b) > 8<<10 {
			return
		}
		s := cssScanner{doubleByte: enc&2 != 0, shiftJIS: enc&1 != 0}
		whole := wholeCSS(s, b)
		for _, h := range whole {
			if h.start < 0 || h.end < h.start || h.end > len(b) {
				t.Fatalf("hit %v of %d", h, len(b))
			}
		}
		for _, limit := range []int{minHold, DefaultMaxHold} {
			c := s
			_, whole := c.scan(b, 0, true, limit, nil)
			r := rand.New(rand.NewPCG(seed, 0))
			if got := feedCSS(s, b, limit, func(int) int { return 1 + r.IntN(1+r.IntN(64)) }); !sameHits(got, whole, limit) {
				t.Fatalf("limit %d\n%q\nwhole %v\ngot   %v", limit, b, whole, got)
			}
		}
		if s.doubleByte || odd(b) {
			return
		}
		for _, at := range lexedURLs(b) {
			if at == len(b) {
				continue // an address of nothing, which the end of the sheet closes
			}
			if !slices.ContainsFunc(whole, func(h cssHit) bool { return h.start == at }) {
				t.Fatalf("%q: URL at %d %q not in %v", b, at, fmt.Sprintf("%.20s", b[at:]), whole)
			}
		}
	})
}

// odd reports whether b has something in it that the other lexer reads unlike
// the specification.
func odd(b []byte) bool {
	return bytes.ContainsAny(b, "\\\x00\r\f") || bytes.Contains(b, []byte("+")) || bytes.Contains(b, []byte("<!--")) || bytes.Contains(b, []byte("-->"))
}
