package api

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/consentgate/consentgate/consent"
)

func TestDeletionsGolden(t *testing.T) {
	for _, tc := range []struct {
		name, scheme, host, cookies, form string
		want                              []string
	}{
		{"https, deep page", "https", "www.shop.example", "sid=1; _ga=2", "action=withdraw&return_to=/de/a?b", []string{
			"_ga=; Path=/; Domain=shop.example; Max-Age=0",
			"_ga=; Path=/; Max-Age=0",
			"_ga=; Path=/; Domain=www.shop.example; Max-Age=0",
			"_ga=; Path=/; Domain=shop.example; Max-Age=0; Secure; Partitioned",
			"_ga=; Path=/; Max-Age=0; Secure; Partitioned",
			"_ga=; Path=/de; Domain=shop.example; Max-Age=0",
			"_ga=; Path=/de; Max-Age=0",
			"_ga=; Path=/de; Domain=www.shop.example; Max-Age=0",
			"_ga=; Path=/de/; Domain=shop.example; Max-Age=0",
			"_ga=; Path=/de/; Max-Age=0",
			"_ga=; Path=/de/; Domain=www.shop.example; Max-Age=0",
			"_ga=; Path=/; Domain=www.shop.example; Max-Age=0; Secure; Partitioned",
			"_ga=; Path=/de; Domain=shop.example; Max-Age=0; Secure; Partitioned",
			"_ga=; Path=/de; Max-Age=0; Secure; Partitioned",
			"_ga=; Path=/de; Domain=www.shop.example; Max-Age=0; Secure; Partitioned",
			"_ga=; Path=/de/; Domain=shop.example; Max-Age=0; Secure; Partitioned",
			"_ga=; Path=/de/; Max-Age=0; Secure; Partitioned",
			"_ga=; Path=/de/; Domain=www.shop.example; Max-Age=0; Secure; Partitioned",
		}},
		{"the likeliest of all names first", "http", "a.b.shop.co.uk:8080", "_ga=2; _fbp=1; _ga=3", "action=deny-all", []string{
			"_ga=; Path=/; Domain=shop.co.uk; Max-Age=0",
			"_ga=; Path=/; Max-Age=0",
			"_fbp=; Path=/; Domain=shop.co.uk; Max-Age=0",
			"_fbp=; Path=/; Max-Age=0",
			"_ga=; Path=/; Domain=a.b.shop.co.uk; Max-Age=0",
			"_ga=; Path=/; Domain=b.shop.co.uk; Max-Age=0",
			"_fbp=; Path=/; Domain=a.b.shop.co.uk; Max-Age=0",
			"_fbp=; Path=/; Domain=b.shop.co.uk; Max-Age=0",
		}},
		{"the nearest directory of all names before the next", "http", "localhost", "_ga=2; _fbp=1", "action=deny-all&return_to=/a/b/c", []string{
			"_ga=; Path=/; Max-Age=0",
			"_fbp=; Path=/; Max-Age=0",
			"_ga=; Path=/a/b; Max-Age=0",
			"_fbp=; Path=/a/b; Max-Age=0",
			"_ga=; Path=/a; Max-Age=0",
			"_fbp=; Path=/a; Max-Age=0",
			"_ga=; Path=/a/b/; Max-Age=0",
			"_fbp=; Path=/a/b/; Max-Age=0",
			"_ga=; Path=/a/; Max-Age=0",
			"_fbp=; Path=/a/; Max-Age=0",
		}},
		{"registrable domain itself", "http", "shop.example", "_ga=2", "action=deny-all", []string{
			"_ga=; Path=/; Domain=shop.example; Max-Age=0",
			"_ga=; Path=/; Max-Age=0",
		}},
		{"private suffix", "http", "me.github.io", "_ga=2", "action=deny-all", []string{
			"_ga=; Path=/; Domain=me.github.io; Max-Age=0",
			"_ga=; Path=/; Max-Age=0",
		}},
		{"public suffix", "http", "co.uk", "_ga=2", "action=deny-all", []string{"_ga=; Path=/; Max-Age=0"}},
		{"localhost", "http", "localhost:8080", "_ga=2", "action=deny-all", []string{"_ga=; Path=/; Max-Age=0"}},
		{"IPv4", "http", "127.0.0.1:8080", "_ga=2", "action=deny-all", []string{"_ga=; Path=/; Max-Age=0"}},
		{"IPv6", "http", "[::1]:8080", "_ga=2", "action=deny-all", []string{"_ga=; Path=/; Max-Age=0"}},
		{"odd host", "http", "shop.example;x", "_ga=2", "action=deny-all", []string{"_ga=; Path=/; Max-Age=0"}},
		{"host in capitals with a final dot", "http", "Shop.Example.", "_ga=2", "action=deny-all", []string{
			"_ga=; Path=/; Domain=shop.example; Max-Age=0",
			"_ga=; Path=/; Max-Age=0",
		}},
		{"prefixes", "https", "shop.example", "__Host-vid=1; __Secure-vid=2; __Http-vid=3; __Host-Http-vid=4", "action=deny-all", []string{
			"__Host-vid=; Path=/; Max-Age=0; Secure",
			"__Secure-vid=; Path=/; Domain=shop.example; Max-Age=0; Secure",
			"__Secure-vid=; Path=/; Max-Age=0; Secure",
			"__Http-vid=; Path=/; Domain=shop.example; Max-Age=0; HttpOnly; Secure",
			"__Http-vid=; Path=/; Max-Age=0; HttpOnly; Secure",
			"__Host-Http-vid=; Path=/; Max-Age=0; HttpOnly; Secure",
			"__Host-vid=; Path=/; Max-Age=0; Secure; Partitioned",
			"__Secure-vid=; Path=/; Domain=shop.example; Max-Age=0; Secure; Partitioned",
			"__Secure-vid=; Path=/; Max-Age=0; Secure; Partitioned",
			"__Http-vid=; Path=/; Domain=shop.example; Max-Age=0; HttpOnly; Secure; Partitioned",
			"__Http-vid=; Path=/; Max-Age=0; HttpOnly; Secure; Partitioned",
			"__Host-Http-vid=; Path=/; Max-Age=0; HttpOnly; Secure; Partitioned",
		}},
		{"prefix in other letters", "https", "shop.example", "__hOST-vid=1", "action=deny-all", []string{
			"__hOST-vid=; Path=/; Max-Age=0; Secure",
			"__hOST-vid=; Path=/; Max-Age=0; Secure; Partitioned",
		}},
		{"prefixes on http", "http", "shop.example", "__Host-vid=1; __Secure-vid=2; __Http-vid=3", "action=deny-all", nil},
		{"everything granted", "https", "shop.example", "_ga=2; _fbp=3", "action=grant-all", nil},
		{"one category lost", "http", "localhost", "cg=" + allGranted + "; _ga=2; _fbp=3", "action=save&category=marketing", []string{"_ga=; Path=/; Max-Age=0"}},
		{"left over from before", "http", "localhost", "_ga=2; _fbp=3", "action=save&category=marketing", []string{"_ga=; Path=/; Max-Age=0"}},
		{"other cookies and look-alikes", "http", "localhost", "sid=1; =_ga; _ga ; \u2000_ga=1; _GA=1; cg=" + allGranted, "action=withdraw", nil},
	} {
		hs := newHarness(t, at(tc.scheme, tc.host))
		r := post(tc.form)
		r.Header.Del("Origin")
		r.Header.Set("Cookie", tc.cookies)
		res := hs.do(r)
		if res.StatusCode != 303 {
			t.Fatalf("%s: %d", tc.name, res.StatusCode)
		}
		if got := res.Header["Set-Cookie"][1:]; !slices.Equal(got, tc.want) {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, strings.Join(got, "\n     "), strings.Join(tc.want, "\n     "))
		}
	}
}

// TestDeletionNames offers names that would break the header they are echoed in.
func TestDeletionNames(t *testing.T) {
	hs := newHarness(t, at("http", "localhost"), func(o *Options) {
		o.Expire = func(string, consent.State) bool { return true }
	})
	r := post("action=withdraw")
	r.Header.Del("Origin")
	r.Header["Cookie"] = []string{
		"good=1; amp.id[2]:{x}|y=1; qu\"ote=1; com,ma=1; back\\slash=1; spa ce=1; ta\tb=1",
		"cr\r\nSet-Cookie: x=1; nul\x00=1; uml\u00e4ut=1; del\x7f=1; =nameless; nameless; " + strings.Repeat("n", 257) + "=1; good=2; cg=own",
	}
	got := hs.do(r).Header["Set-Cookie"][1:]
	want := []string{"good=; Path=/; Max-Age=0", "amp.id[2]:{x}|y=; Path=/; Max-Age=0"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestDeletionsBudget is F12: the header of an answer stays below 4 KiB, and every
// name gets its likeliest deletion before any gets its last.
func TestDeletionsBudget(t *testing.T) {
	for _, cookies := range []int{1, 10, 20, 60, 500, consent.MaxCookies + 1} {
		for _, page := range []string{"/", "/a/b/c/d/e/f/g/h/i/j/k/l", "/" + strings.Repeat("x/", 1000), "/a;b/c/"} {
			hs := newHarness(t, func(o *Options) {
				o.Expire = func(string, consent.State) bool { return true }
			})
			r := post("action=withdraw&return_to=" + escapeAll(page))
			if len(page) > 1000 {
				r = post("action=withdraw&return_to=" + page)
			}
			var names []string
			for i := range cookies {
				names = append(names, fmt.Sprintf("c%d=1", i))
			}
			r.Header.Set("Cookie", strings.Join(names, "; "))
			rec := httptest.NewRecorder()
			hs.ServeHTTP(rec, r)
			var head bytes.Buffer
			rec.Header().Write(&head)
			if head.Len() > 4096-200 || rec.Code != 303 {
				t.Errorf("%d cookies, %.20s: status %d, %d bytes of header", cookies, page, rec.Code, head.Len())
			}
			lines := rec.Header()["Set-Cookie"][1:]
			if cookies <= 10 {
				for i := range cookies {
					for _, want := range []string{"c%d=; Path=/; Domain=shop.example; Max-Age=0", "c%d=; Path=/; Max-Age=0"} {
						if !slices.Contains(lines, fmt.Sprintf(want, i)) {
							t.Errorf("%d cookies, %.20s: no %s", cookies, page, fmt.Sprintf(want, i))
						}
					}
				}
			}
			for _, line := range lines {
				if strings.Count(line, ";") != strings.Count(line, "; ") || strings.Contains(line, "a;b") {
					t.Errorf("%s holds a stray semicolon", line)
				}
			}
		}
	}
}

func TestDirectories(t *testing.T) {
	for page, want := range map[string]string{
		"/":            "",
		"/a":           "",
		"/a/":          "/a /a/",
		"/a/b":         "/a /a/",
		"/a/b/c?/d#/e": "/a/b /a /a/b/ /a/",
		"/a//b":        "/a /a/",
		"/a/b;c/d/e":   "/a /a/",
		"/%C3%A4/b":    "/%C3%A4 /%C3%A4/",
	} {
		if got := strings.Join(directories(page), " "); got != want {
			t.Errorf("%s: got %q, want %q", page, got, want)
		}
	}
	if got := directories(strings.Repeat("/a", 100)); len(got) != 2*maxDirectories {
		t.Errorf("%d directories of a deep page", len(got))
	}
}
