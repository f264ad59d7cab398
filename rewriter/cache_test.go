package rewriter

import (
	"net/http"
	"reflect"
	"testing"
)

func TestPrivateCacheB5(t *testing.T) {
	for _, c := range []struct{ in, want []string }{
		{nil, []string{"private"}},
		{[]string{""}, []string{"private"}},
		{[]string{"public, s-maxage=600"}, []string{"private"}},
		{[]string{"public, max-age=60, s-maxage=600, stale-while-revalidate=5"}, []string{"private, max-age=60, stale-while-revalidate=5"}},
		{[]string{"max-age=60"}, []string{"private, max-age=60"}},
		{[]string{"no-cache"}, []string{"private, no-cache"}},
		{[]string{"private"}, []string{"private"}},
		{[]string{"Private ,max-age=0"}, []string{"Private ,max-age=0"}},
		{[]string{"no-store"}, []string{"no-store"}},
		{[]string{"PUBLIC", "No-Store"}, []string{"No-Store"}},
		{[]string{"max-age=1", "S-MaxAge = 3"}, []string{"private, max-age=1"}},
		{[]string{`private="Set-Cookie", max-age=1`}, []string{"private, max-age=1"}},
		{[]string{`no-cache="Set-Cookie, public", proxy-revalidate`}, []string{`private, no-cache="Set-Cookie, public"`}},
		{[]string{`x="private"`}, []string{`private, x="private"`}},
	} {
		h := http.Header{
			"Surrogate-Control": {"max-age=9"}, "Cdn-Cache-Control": {"max-age=9"}, "X-Accel-Expires": {"9"},
			"Cloudflare-Cdn-Cache-Control": {"max-age=9"}, "Edge-Control": {"x"}, "Expires": {"later"},
		}
		if c.in != nil {
			h["Cache-Control"] = c.in
		}
		PrivateCache(h)
		if want := (http.Header{"Cache-Control": c.want, "Expires": {"later"}}); !reflect.DeepEqual(h, want) {
			t.Errorf("%q: %q, want %q", c.in, h, want)
		}
	}
}

func TestAddVary(t *testing.T) {
	for _, c := range []struct{ in, want []string }{
		{nil, []string{"Cookie, Sec-GPC"}},
		{[]string{"Accept-Encoding"}, []string{"Accept-Encoding, Cookie, Sec-GPC"}},
		{[]string{"Accept", "", "Origin ,Range"}, []string{"Accept, Origin ,Range, Cookie, Sec-GPC"}},
		{[]string{"accept, cookie", "SEC-GPC"}, []string{"accept, cookie", "SEC-GPC"}},
		{[]string{"*"}, []string{"*"}},
		{[]string{"Accept, *"}, []string{"Accept, *"}},
		{[]string{"X-Cookie"}, []string{"X-Cookie, Cookie, Sec-GPC"}},
	} {
		h := http.Header{}
		if c.in != nil {
			h["Vary"] = c.in
		}
		AddVary(h, "Cookie", "Sec-GPC")
		AddVary(h, "Cookie")
		if !reflect.DeepEqual(h["Vary"], c.want) {
			t.Errorf("%q: %q, want %q", c.in, h["Vary"], c.want)
		}
	}
}
