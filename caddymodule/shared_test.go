package caddymodule

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// fields returns the headers that decide what a cache does.
func cacheFields(h http.Header) http.Header {
	out := http.Header{}
	for _, key := range []string{"Cache-Control", "Vary", "Etag", "Last-Modified", "Surrogate-Control", "Set-Cookie", "Link", "Content-Type"} {
		if lines := h[key]; len(lines) > 0 {
			out[key] = lines
		}
	}
	return out
}

// With "cache shared" a page is the same for everybody, headers and all, and the
// site's caching rules stay.
func TestCacheShared(t *testing.T) {
	addr := answering(t, page(tracked, "Cache-Control: public, s-maxage=600", "Surrogate-Control: max-age=9", `ETag: "a"`,
		"Last-Modified: Thu, 01 Jan 1970 00:01:00 GMT", "Set-Cookie: _ga=1", "Set-Cookie: session=1",
		"Link: <https://www.googletagmanager.com>; rel=preconnect, </own.css>; rel=preload; as=style"))
	g := start(t, proxy(addr, "cache shared"))
	var first answer
	for i, fields := range [][]string{
		{}, {"Cookie", granted(t)}, {"Cookie", granted(t, "analytics")}, {"Sec-GPC", "1"}, {"DNT", "1", "Cookie", granted(t, "marketing")}, {"Cookie", "cg=broken"},
	} {
		got := g.get("/", append(fields, "Accept", "text/html")...)
		got.Header.Del("Date")
		if i == 0 {
			first = got
			if strings.Contains(got.body, live) || !strings.Contains(got.body, "data-cg-src") {
				t.Errorf("not held: %q", got.body)
			}
			want := http.Header{
				"Cache-Control": {"public, s-maxage=600"}, "Surrogate-Control": {"max-age=9"}, "Set-Cookie": {"session=1"},
				"Link": {"</own.css>; rel=preload; as=style"}, "Content-Type": {"text/html; charset=utf-8"},
			}
			have := cacheFields(got.Header)
			if tag := have.Get("ETag"); !strings.HasPrefix(tag, `"a~cg`) {
				t.Errorf("tag %s", tag)
			}
			delete(have, "Etag")
			if !equalHeaders(have, want) {
				t.Errorf("headers %v, want %v", have, want)
			}
			continue
		}
		if got.body != first.body || !equalHeaders(got.Header, first.Header) {
			t.Errorf("%q: another page:\n%v\n%v", fields, got.Header, first.Header)
		}
		// What one visitor's browser has revalidates another's, as in a cache.
		if got := g.get("/", append(fields, "Accept", "text/html", "If-None-Match", first.Header.Get("ETag"))...); got.StatusCode != 200 {
			t.Errorf("%q: %d from a site that knows no conditions", fields, got.StatusCode)
		}
	}
	if n := g.outcome(outcomeRewritten); n != 11 {
		t.Errorf("%v rewritten", n)
	}
}

// A response that is no page is filtered for its visitor even so. If that makes a
// difference, no shared cache may keep it.
func TestCacheByHeaders(t *testing.T) {
	const public = "Cache-Control: public, max-age=60"
	for name, tc := range map[string]struct {
		fields  []string
		differs bool
	}{
		"plain":            {[]string{public}, false},
		"session cookie":   {[]string{public, "Set-Cookie: PHPSESSID=1"}, false},
		"tracker cookie":   {[]string{public, "Set-Cookie: _ga=1"}, true},
		"deleted cookie":   {[]string{public, "Set-Cookie: _ga=1; Max-Age=0"}, false},
		"own cookie":       {[]string{public, "Set-Cookie: cg=1"}, false},
		"unknown cookie":   {[]string{public, "Set-Cookie: whatever=1"}, false},
		"vendor's link":    {[]string{public, "Link: <https://www.googletagmanager.com>; rel=preconnect"}, true},
		"site's link":      {[]string{public, "Link: </a.css>; rel=preload; as=style"}, false},
		"vendor's refresh": {[]string{public, "Refresh: 0; url=https://www.facebook.com/tr"}, true},
		"reporting":        {[]string{public, `Reporting-Endpoints: a="https://www.google-analytics.com/report"`}, true},
	} {
		t.Run(name, func(t *testing.T) {
			addr := answering(t, response("200 OK", "{}", append([]string{"Content-Type: application/json", `ETag: "a"`}, tc.fields...)...))
			for _, mode := range []string{cachePrivate, cacheShared} {
				g := start(t, proxy(addr, "cache "+mode))
				for _, cookie := range []string{"", granted(t)} {
					got := g.get("/data.json", "Accept", "application/json", "Sec-Fetch-Dest", "empty", "Cookie", cookie)
					want := []string{"public, max-age=60"}
					if tc.differs {
						want = []string{"private, max-age=60"}
					}
					if cc := got.Header["Cache-Control"]; !slices.Equal(cc, want) {
						t.Errorf("%s, cookie %q: %q, want %q", mode, cookie, cc, want)
					}
					if varies := hasToken(got.Header["Vary"], "Cookie"); varies != tc.differs {
						t.Errorf("%s, cookie %q: Vary %q", mode, cookie, got.Header["Vary"])
					}
					if got.Header.Get("ETag") != `"a"` || got.body != "{}" {
						t.Errorf("%s: %v %q", mode, got.Header, got.body)
					}
				}
			}
		})
	}
}

func equalHeaders(a, b http.Header) bool {
	if len(a) != len(b) {
		return false
	}
	for key, lines := range a {
		if !slices.Equal(lines, b[key]) {
			return false
		}
	}
	return true
}
