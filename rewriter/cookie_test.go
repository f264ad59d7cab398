package rewriter

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/consentgate/consentgate/consent"
	"github.com/consentgate/consentgate/policy"
)

// headerBound binds the built-in policy to a visitor of shop.example who
// granted these categories.
func headerBound(tb testing.TB, granted ...string) policy.Bound {
	tb.Helper()
	p := policy.Default()
	var state consent.State
	for _, id := range granted {
		i := p.Scheme().Index(id)
		if i < 0 {
			tb.Fatalf("no category %q", id)
		}
		state.Decided = true
		state.Granted = state.Granted.With(i)
	}
	return p.Bind(state, "shop.example")
}

// headerBoundAll grants everything.
func headerBoundAll(tb testing.TB) policy.Bound {
	tb.Helper()
	p := policy.Default()
	b := p.Bind(consent.State{Decided: true, Granted: p.Scheme().Optional()}, "shop.example")
	if !b.Unrestricted() {
		tb.Fatal("all categories granted, and still restricted")
	}
	return b
}

// cookieTally collects what is counted, as "category action".
type cookieTally map[string]int

func (c cookieTally) add(category string, a policy.Action) { c[category+" "+a.String()]++ }

var ownCookies = []string{"__Host-cg", "cg"}

// F4: the name we judge is the name browsers store, whatever the line.
func TestFilterSetCookieF4(t *testing.T) {
	for _, c := range []struct {
		line string
		kept bool
	}{
		{"theme=dark; Path=/", true},
		{"_ga=GA1.2.3; Path=/; Domain=shop.example", false},
		{" \t_ga \t= x", false},
		{"_ga", true}, // a nameless cookie whose value is "_ga": see below
		{"_ga=", false},
		{"_GA=x", true}, // names are case-sensitive
		{`_ga="x;y"`, false},
		{`theme="x;_ga=y"`, true},
		{"theme=1, _ga=2", true}, // one line, one cookie
		{"theme=_ga=1", true},
		{"_ga=1=2", false},
		{"PHPSESSID=abc; HttpOnly", true},
		{"__Secure-_ga=x; Secure", false},
		{"\u2000_ga=x", true}, // another name to browsers
		{"theme=x; _ga=1", true},
		{";_ga=1", true}, // nameless and empty
		{"theme=a\tb", true},
		{"theme=a\x01b", false},
		{"theme=x; Path=/\x7f", false},
		{"_fbp=fb.1; Max-Age=7776000", false},
	} {
		pair, _, _ := strings.Cut(c.line, ";")
		if !strings.Contains(pair, "=") {
			c.kept = false // F3
		}
		h := http.Header{"Set-Cookie": {c.line}, "X": {"y"}}
		FilterSetCookie(h, headerBound(t), ownCookies, cookieTally{}.add)
		want := http.Header{"X": {"y"}}
		if c.kept {
			want["Set-Cookie"] = []string{c.line}
		}
		if !reflect.DeepEqual(h, want) {
			t.Errorf("%q: %q", c.line, h)
		}
		// F5: nothing is lost on the way once everything is granted.
		h = http.Header{"Set-Cookie": {c.line}}
		FilterSetCookie(h, headerBoundAll(t), ownCookies, cookieTally{}.add)
		if !reflect.DeepEqual(h, http.Header{"Set-Cookie": {c.line}}) {
			t.Errorf("%q, granted: %q", c.line, h)
		}
	}
}

// F3
func TestFilterSetCookieF3(t *testing.T) {
	for _, line := range []string{"v", "=v", " = v; Path=/", "="} {
		h := http.Header{"Set-Cookie": {line}}
		tally := cookieTally{}
		FilterSetCookie(h, headerBound(t), ownCookies, tally.add)
		if len(h["Set-Cookie"]) != 0 || tally["nameless block"] != 1 {
			t.Errorf("%q: %q, %v", line, h, tally)
		}
	}
}

// F5, F6, A16: all lines, under any spelling of the key, in trailers too.
func TestFilterSetCookieF5(t *testing.T) {
	h := http.Header{
		"Set-Cookie":         {"a=1", "_ga=2", " b=3 ", "_fbp=4", "PHPSESSID=5"},
		"set-cookie":         {"_ga=6", "c=7"},
		"SET-COOKIE":         {"_gid=8"},
		"Trailer:Set-Cookie": {"_ga=9", "d=10"},
	}
	tally := cookieTally{}
	FilterSetCookie(h, headerBound(t, "analytics"), ownCookies, tally.add)
	want := http.Header{
		"Set-Cookie":         {"a=1", "_ga=2", " b=3 ", "PHPSESSID=5"},
		"set-cookie":         {"_ga=6", "c=7"},
		"SET-COOKIE":         {"_gid=8"},
		"Trailer:Set-Cookie": {"_ga=9", "d=10"},
	}
	if !reflect.DeepEqual(h, want) {
		t.Errorf("%q, want %q", h, want)
	}
	if want := (cookieTally{"analytics allow": 4, "marketing block": 1, "essential allow": 1, "unclassified allow": 4}); !reflect.DeepEqual(tally, want) {
		t.Errorf("counted %v, want %v", tally, want)
	}
	FilterSetCookie(h, headerBound(t), ownCookies, cookieTally{}.add)
	want = http.Header{
		"Set-Cookie":         {"a=1", " b=3 ", "PHPSESSID=5"},
		"set-cookie":         {"c=7"},
		"Trailer:Set-Cookie": {"d=10"},
	}
	if !reflect.DeepEqual(h, want) {
		t.Errorf("%q, want %q", h, want)
	}
}

// The header map's slices may belong to somebody else.
func TestFilterSetCookieCopies(t *testing.T) {
	lines := []string{"a=1", "_ga=2", "b=3"}
	FilterSetCookie(http.Header{"Set-Cookie": lines}, headerBound(t), nil, cookieTally{}.add)
	if !reflect.DeepEqual(lines, []string{"a=1", "_ga=2", "b=3"}) {
		t.Errorf("changed in place: %q", lines)
	}
}

// F13: the upstream neither sets, deletes nor forges our cookie, whatever is granted.
func TestFilterSetCookieF13(t *testing.T) {
	for _, line := range []string{
		"cg=1~x", "__Host-cg=1~x; Secure; Path=/", " cg = x", "cg=; Max-Age=0", "cg=x\x01",
		"=cg=1~x", "==", "= cg=x", "=__Host-cg=x",
	} {
		h := http.Header{"Set-Cookie": {line, "a=1"}}
		tally := cookieTally{}
		FilterSetCookie(h, headerBoundAll(t), ownCookies, tally.add)
		want := []string{"a=1"}
		own := 1
		if line == "==" {
			want, own = []string{"==", "a=1"}, 0
		}
		if !reflect.DeepEqual(h["Set-Cookie"], want) || tally["own block"] != own {
			t.Errorf("%q: %q, %v", line, h, tally)
		}
	}
	for _, line := range []string{"cgx=1", "CG=1", "xcg=1", "cg.=1"} {
		h := http.Header{"Set-Cookie": {line}}
		FilterSetCookie(h, headerBound(t), ownCookies, cookieTally{}.add)
		if len(h) != 1 {
			t.Errorf("%q is none of ours", line)
		}
	}
}

// Deletions pass, and only what every browser takes for one: a line that Chromium
// reads otherwise than the RFC would set the cookie there.
func TestDeletions(t *testing.T) {
	long := strings.Repeat("0", maxAttribute+1)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		attributes string
		want       bool
	}{
		{"", false},
		{" Path=/", false},
		{" Max-Age=0", true},
		{" max-age = 0 ", true},
		{" Max-Age=-1", true},
		{" Max-Age=-9999999999999999999999", true},
		{" Max-Age=00", true},
		{" Max-Age=1", false},
		{" Max-Age=99999999999999999999999", false},
		{" Max-Age=", false},
		{" Max-Age", false},
		{" Max-Age=-", false},
		{" Max-Age=+0", false},
		{" Max-Age=0x0", false},
		{` Max-Age="0"`, false},
		{" Max-Age=0.5", false},
		{" Max-Age=" + long, false},
		{" Max-Age=0; Max-Age=60", false}, // the last one counts
		{" Max-Age=60; Max-Age=0", false},
		{" Max-Age=0; Max-Age=x", false}, // the last valid one to the RFC, the last one to Chromium
		{" Max-Age=0; Max-Age=", false},
		{" Max-Age=0; Max-Age", false},
		{" Max-Age=0; Max-Age=-1", true},
		{" Max-Age=0; Max-Age=" + long, false},
		{" Expires=Thu, 01 Jan 1970 00:00:00 GMT", true},
		{" Expires=Thu, 01-Jan-1970 00:00:01 GMT; Path=/", true},
		{" expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60", false}, // Max-Age goes first
		{" Max-Age=0; Expires=Thu, 01 Jan 2099 00:00:00 GMT", true},
		{" Max-Age=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT", false},
		{" Expires=Wed, 31 Dec 2025 23:59:59 GMT", true},
		{" Expires=Thu, 01 Jan 2026 00:00:00 GMT", false},
		{" Expires=Thu, 01 Jan 2099 00:00:00 GMT", false},
		{" Expires=0", false},
		{" Expires=-1", false},
		{" Expires=", false},
		{" Expires=Thu, 01 Jan 1970 00:00:00 GMT; Expires=Thu, 01 Jan 2099 00:00:00 GMT", false},
		{" Expires=Thu, 01 Jan 1970 00:00:00 GMT; Expires=soon", false},
		{" Expires=Thu, 01 Jan 1970 00:00:00 GMT; Expires=Fri, 02 Jan 1970 00:00:00 GMT", true},
		{" Expires=29th 12 Jan 00:00:00", false}, // 2012 to the RFC, 2029 to Chromium
		{" Expires=29th 70 Jan 00:00:00", false}, // no date to Chromium
		{" x=Max-Age=0", false},
		{" Max-Age=0" + strings.Repeat(" ", 2000), true}, // trimmed before it is measured
	} {
		if got := deletesCookie(c.attributes, nil, now); got != c.want {
			t.Errorf("%.70q: %v, want %v", c.attributes, got, c.want)
		}
	}
	h := http.Header{"Set-Cookie": {"_ga=; Max-Age=0; Path=/", "_fbp=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "_gid=x"}}
	tally := cookieTally{}
	FilterSetCookie(h, headerBound(t), nil, tally.add)
	if want := h["Set-Cookie"][:2]; len(h["Set-Cookie"]) != 2 || !reflect.DeepEqual(h["Set-Cookie"], want) {
		t.Errorf("%q", h)
	}
	if want := (cookieTally{"analytics block": 1}); !reflect.DeepEqual(tally, want) {
		t.Errorf("counted %v", tally)
	}
}

// Chromium moves Expires by the difference between the answer's Date and its own
// clock, so that a tracker with an old Date lives on.
func TestDeletionDate(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const attributes = " Expires=Wed, 01 Jan 2020 00:00:00 GMT"
	for _, c := range []struct {
		date []string
		want bool
	}{
		{nil, true},
		{[]string{"Thu, 01 Jan 2026 00:00:00 GMT"}, true},
		{[]string{"Wed, 01 Jan 2020 00:00:01 GMT"}, true},
		{[]string{"Wed, 01 Jan 2020 00:00:00 GMT"}, false},
		{[]string{"Thu, 01 Jan 2015 00:00:00 GMT"}, false},
		{[]string{"Thu, 01 Jan 2026 00:00:00 GMT", "Thu, 01 Jan 2015 00:00:00 GMT"}, false},
		{[]string{"1 January 2015 00:00 UTC"}, false}, // Chromium reads it
		{[]string{""}, false},
		{[]string{"Tue, 01 Jan 2047 00:00:00 GMT"}, true},
	} {
		if got := deletesCookie(attributes, http.Header{"Date": c.date}, now); got != c.want {
			t.Errorf("%q: %v, want %v", c.date, got, c.want)
		}
	}
	h := http.Header{"Set-Cookie": {"_ga=1;" + attributes}, "date": {"Thu, 01 Jan 2015 00:00:00 GMT"}}
	if FilterSetCookie(h, headerBound(t), nil, cookieTally{}.add); len(h["Set-Cookie"]) > 0 {
		t.Errorf("%q stays", h)
	}
}

// Dates that the algorithm of RFC 6265bis, section 5.1.1, and Chromium's read
// alike. What only one of them knows is none.
func TestCookieDate(t *testing.T) {
	for _, c := range []struct {
		in, want string // RFC 3339, "" if it is none
	}{
		{"Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00Z"},
		{"Thursday, 01-Jan-70 00:00:00 GMT", "1970-01-01T00:00:00Z"},
		{"Thu Jan  1 00:00:00 1970", "1970-01-01T00:00:00Z"},
		{"1 jan 1970 0:0:0", "1970-01-01T00:00:00Z"},
		{"1970 January 1 00:00:00", "1970-01-01T00:00:00Z"},
		{"01 1970 january 00:00:00 x", "1970-01-01T00:00:00Z"},
		{"00:00:00 1 Feb 69", "2069-02-01T00:00:00Z"},
		{"00:00:00 1 Feb 99", "1999-02-01T00:00:00Z"},
		{"12:34:56 29 FEBRUARY 2024 12:34 AD 1", "2024-02-29T12:34:56Z"},
		{"12:34:56pm 29 FEBRUARY 2024", ""},
		{"12:34:56 29th FEBRUARY 2024", ""},
		{"12:34:56 29 FEBRUARY 2024AD", ""},
		{"12:34:56 29 F\u00e9b 2024", ""},
		{"Thu, 01 Jan 1970 00:00:00 +0100", "1970-01-01T00:00:00Z"},
		{"1970-01-01T00:00:00Z", ""},
		{"1 1 Jan 1970 00:00:00", ""},
		{"1 Jan 2099 1970 00:00:00", ""},
		{"1 Jan 070 00:00:00", ""},
		{"1-Dec-2024;12:00:00", "2024-12-01T12:00:00Z"},
		{"29 Feb 2023 00:00:00", ""},
		{"31 Apr 2024 00:00:00", ""},
		{"32 Jan 2024 00:00:00", ""},
		{"0 Jan 2024 00:00:00", ""},
		{"1 Jan 1600 00:00:00", ""},
		{"1 Jan 1601 00:00:00", "1601-01-01T00:00:00Z"},
		{"1 Jan 2024 24:00:00", ""},
		{"1 Jan 2024 00:60:00", ""},
		{"1 Jan 2024 00:00:60", ""},
		{"1 Jan 2024 000:00:00", ""},
		{"1 Jan 2024 00:00", ""},
		{"1 Jan 20245 00:00:00", ""},
		{"1 Foo 2024 00:00:00", ""},
		{"1 anf 2024 00:00:00", ""},
		{"Jan 2024 00:00:00", ""},
		{"", ""},
	} {
		at, ok := cookieDate(c.in)
		got := ""
		if ok {
			got = at.Format(time.RFC3339)
		}
		if got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
	for i, month := range strings.Fields("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec") {
		if at, ok := cookieDate("1 " + month + " 2024 00:00:00"); !ok || int(at.Month()) != i+1 {
			t.Errorf("%s: %v, %v", month, at, ok)
		}
	}
}

// F1, F7, F14, F15
func TestFilterCookieF1(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		want  []string
	}{
		{"nothing to do", []string{`a="x y"; b={"j":1}; c=\; d[e]=é; f:g=1;  h = 2 ;`}, []string{`a="x y"; b={"j":1}; c=\; d[e]=é; f:g=1;  h = 2 ;`}},
		{"in the middle", []string{`a="1"; _ga=2; b={3}`}, []string{`a="1"; b={3}`}},
		{"first", []string{"_ga=2; a=1; b=2"}, []string{"a=1; b=2"}},
		{"first two", []string{"_ga=2; _gid=3;\ta=1"}, []string{"a=1"}},
		{"last", []string{"a=1; _ga=2"}, []string{"a=1"}},
		{"last with separator", []string{"a=1; _ga=2;"}, []string{"a=1;"}},
		{"all", []string{"_ga=2; _fbp=3"}, nil},
		{"all but separators", []string{"_ga=2;; "}, nil},
		{"no blanks", []string{"a=1;_ga=2;b=3"}, []string{"a=1;b=3"}},
		{"blanks kept", []string{"a=1 ;  _ga = 2 ;\t b = 3"}, []string{"a=1 ;\t b = 3"}},
		{"twice", []string{"_ga=1; a=1; _ga=2"}, []string{"a=1"}},
		{"quotes protect nothing", []string{`a="1; _ga=2; b"`}, []string{`a="1`}}, // what is left of it has no name
		{"nameless", []string{"a=1; v; =w; b=2"}, []string{"a=1; b=2"}},
		{"ours", []string{"a=1; __Host-cg=1~x; cg=y; b=2"}, []string{"a=1; b=2"}},
		{"only ours", []string{"cg=y"}, nil},
		{"looks like ours", []string{"CG=y; cgx=1; \u2000cg=2"}, []string{"CG=y; cgx=1; \u2000cg=2"}},
		{"two lines", []string{"a=1; _ga=2", "_fbp=3; b=4"}, []string{"a=1; b=4"}},
		{"two lines, nothing to do", []string{"a=1", "b=2"}, []string{"a=1; b=2"}},
		{"one line goes", []string{"_ga=2", "b=4"}, []string{"b=4"}},
		{"$Version", []string{`$Version="1"; a="1"; $Path="/"`}, []string{`$Version="1"; a="1"; $Path="/"`}},
		{"essential", []string{"PHPSESSID=1; _ga=2; csrftoken=3"}, []string{"PHPSESSID=1; csrftoken=3"}},
	} {
		h := http.Header{"Cookie": append([]string(nil), c.lines...), "X": {"y"}}
		if filterCookie(h, headerBound(t), ownCookies, 0, cookieTally{}.add) {
			t.Errorf("%s: too many", c.name)
		}
		want := http.Header{"X": {"y"}}
		if c.want != nil {
			want["Cookie"] = c.want
		}
		if !reflect.DeepEqual(h, want) {
			t.Errorf("%s: %q, want %q", c.name, h, want)
		}
	}
}

func TestFilterCookieCounts(t *testing.T) {
	h := http.Header{"Cookie": {"a=1; _ga=2; _fbp=3; PHPSESSID=4; v; cg=5;"}}
	tally := cookieTally{}
	filterCookie(h, headerBound(t, "analytics"), ownCookies, 0, tally.add)
	want := cookieTally{"unclassified allow": 1, "analytics allow": 1, "marketing block": 1, "essential allow": 1, "nameless block": 1}
	if !reflect.DeepEqual(tally, want) {
		t.Errorf("counted %v, want %v", tally, want)
	}
}

// F2
func TestFilterCookieF2(t *testing.T) {
	many := func(n int) string { return strings.TrimSuffix(strings.Repeat("a=1; ", n-1)+"_ga=2", "; ") }
	for _, c := range []struct {
		lines   []string
		limit   int
		tooMany bool
	}{
		{[]string{many(3000)}, 0, false},
		{[]string{many(3001)}, 0, true},
		{[]string{many(2000), many(1001)}, 0, true},
		{[]string{many(3)}, 3, false},
		{[]string{many(4)}, 3, true},
		{[]string{strings.Repeat(";", 3000)}, 0, true},
	} {
		h := http.Header{"Cookie": c.lines}
		got := filterCookie(h, headerBound(t), ownCookies, c.limit, cookieTally{}.add)
		if got != c.tooMany || got && len(h) != 0 || strings.Contains(h.Get("Cookie"), "_ga") {
			t.Errorf("%d lines of %d bytes, limit %d: %v, %d keys left", len(c.lines), len(c.lines[0]), c.limit, got, len(h))
		}
	}
}

// subsequence reports whether got is made of pieces of whole, in order.
func subsequence(whole, got string) bool {
	for i := 0; i < len(got); i++ {
		j := strings.IndexByte(whole, got[i])
		if j < 0 {
			return false
		}
		whole = whole[j+1:]
	}
	return true
}

func FuzzFilterCookie(f *testing.F) {
	f.Add("a=1; _ga=2; b=3")
	f.Add(";;_ga;=_ga; _ga = \"x; cg=1")
	f.Add("_ga=1;;a;")
	none, all := headerBound(f), headerBoundAll(f)
	f.Fuzz(func(t *testing.T, line string) {
		h := http.Header{"Cookie": {line}}
		filterCookie(h, all, nil, 0, cookieTally{}.add)
		if !reflect.DeepEqual(h["Cookie"], []string{line}) && strings.Count(line, ";") < DefaultMaxCookies {
			t.Fatalf("%q, granted: %q", line, h)
		}
		h = http.Header{"Cookie": {line}}
		filterCookie(h, none, ownCookies, 0, cookieTally{}.add)
		got := h.Get("Cookie")
		if !subsequence(line, got) {
			t.Fatalf("%q became %q", line, got)
		}
		// What is left is allowed, and no pair that was allowed is gone.
		kept, want := allowedPairs(none, got), allowedPairs(none, line)
		if !reflect.DeepEqual(kept, want) {
			t.Fatalf("%q became %q: pairs %q, want %q", line, got, kept, want)
		}
		filterCookie(h, none, ownCookies, 0, func(c string, a policy.Action) {
			if a == policy.Block {
				t.Fatalf("%q became %q, which still holds %s", line, got, c)
			}
		})
	})
}

func allowedPairs(b policy.Bound, line string) (pairs []string) {
	consent.EachCookie(line, func(_, name, value string) bool {
		if name != "" && name != "cg" && name != "__Host-cg" && b.RequestCookie(name).Action == policy.Allow {
			pairs = append(pairs, name+"="+value)
		}
		return true
	})
	return pairs
}

func FuzzFilterSetCookie(f *testing.F) {
	f.Add("a=1", "_ga=2; Max-Age=0", "b")
	f.Add("_ga;x", "=cg=1", "a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
	none, all := headerBound(f), headerBoundAll(f)
	f.Fuzz(func(t *testing.T, a, b, c string) {
		lines := []string{a, b, c}
		h := http.Header{"Set-Cookie": lines}
		FilterSetCookie(h, all, nil, cookieTally{}.add)
		if !reflect.DeepEqual(h["Set-Cookie"], lines) {
			t.Fatalf("%q, granted: %q", lines, h)
		}
		FilterSetCookie(h, none, ownCookies, cookieTally{}.add)
		rest := lines
		for _, line := range h["Set-Cookie"] {
			for len(rest) > 0 && rest[0] != line {
				rest = rest[1:]
			}
			if len(rest) == 0 {
				t.Fatalf("%q became %q", lines, h)
			}
			rest = rest[1:]
			name, _ := cookieNameValue(strings.SplitN(line, ";", 2)[0])
			_, attributes, _ := strings.Cut(line, ";")
			if line != "" && none.SetCookie(name).Action == policy.Block && !deletesCookie(attributes, h, time.Now()) {
				t.Fatalf("%q stays", line)
			}
		}
	})
}

func BenchmarkFilterCookie(b *testing.B) {
	line := "a=1; _ga=GA1.1.123; _fbp=fb.1.2.3; PHPSESSID=abc; theme=dark"
	bound := headerBound(b)
	for _, n := range []int{1, 20} {
		long := strings.TrimSuffix(strings.Repeat(line+"; ", n), "; ")
		b.Run(fmt.Sprint(5*n), func(b *testing.B) {
			b.SetBytes(int64(len(long)))
			b.ReportAllocs()
			for b.Loop() {
				h := http.Header{"Cookie": {long}}
				filterCookie(h, bound, ownCookies, 0, func(string, policy.Action) {})
			}
		})
	}
}

// filterCookie makes of a request's cookies what may go on.
func filterCookie(h http.Header, b policy.Bound, own []string, limit int, count func(category string, a policy.Action)) (tooMany bool) {
	line, changed, tooMany := KeptCookies(h, b, own, limit, count)
	if changed {
		ReplaceCookies(h, line)
	}
	return tooMany
}
