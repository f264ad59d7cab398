package policy

import (
	"os"
	"testing"

	"github.com/consentgate/consentgate/consent"
)

// hotURLs take every way through Resource.
var hotURLs = []string{
	"https://www.example.com/assets/app/main.3f9a.js",
	"https://www.example.com/stats/matomo.js",
	"https://www.example.com/v1/api/42/envelope/",
	"https://cdn.jsdelivr.net/npm/x@1/dist/x.min.js",
	"https://www.googletagmanager.com/gtag/js?l=dataLayer&id=AW-123456789",
	"https://www.googletagmanager.com/gtag/js?id=XX-1",
	"https://connect.facebook.net/en_US/fbevents.js",
	"https://vsa12.tawk.to/s/",
	"https://a.b.c.d.e.f.g.example.org/x/y/z/a/b/c/d.js?a=1&b=2",
	"https://fonts.gstatic.com/",
}

var hotCookies = []string{"_ga", "_ga_ABC", "sessionid", "amp_a1b2c3", "__Host-sessionid", "__Secure-unheard-of", "", "a-cookie-that-nobody-knows"}

// TestAllocs: decisions allocate nothing.
func TestAllocs(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	p := Default()
	b := p.Bind(consent.State{}, page)
	for _, raw := range hotURLs {
		loc := location(t, raw)
		for _, k := range []Kind{Script, Hint} {
			if n := testing.AllocsPerRun(200, func() { b.Resource(k, loc) }); n != 0 {
				t.Errorf("Resource %s %s: %v allocations", k, raw, n)
			}
		}
	}
	for _, name := range hotCookies {
		if n := testing.AllocsPerRun(200, func() { b.RequestCookie(name) }); n != 0 {
			t.Errorf("RequestCookie %q: %v allocations", name, n)
		}
		if n := testing.AllocsPerRun(200, func() { b.SetCookie(name) }); n != 0 {
			t.Errorf("SetCookie %q: %v allocations", name, n)
		}
	}
	code := []byte("document.querySelector('#menu').addEventListener('click', function () { open = !open })")
	if n := testing.AllocsPerRun(200, func() { b.Inline(code, nil) }); n != 0 {
		t.Errorf("Inline: %v allocations", n)
	}
	// Once a request: the public suffix list looks whether the host is an address.
	if n := testing.AllocsPerRun(200, func() { p.Bind(consent.State{}, page).Unrestricted() }); n > 1 {
		t.Errorf("Bind: %v allocations", n)
	}
}

func BenchmarkResource(b *testing.B) {
	bound := Default().Bind(consent.State{}, page)
	for _, raw := range hotURLs {
		loc := location(b, raw)
		b.Run(raw[8:], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bound.Resource(Script, loc)
			}
		})
	}
}

func BenchmarkCookie(b *testing.B) {
	bound := Default().Bind(consent.State{}, page)
	for _, name := range hotCookies {
		b.Run("name="+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bound.RequestCookie(name)
			}
		})
	}
}

func BenchmarkBind(b *testing.B) {
	p := Default()
	b.ReportAllocs()
	for b.Loop() {
		p.Bind(consent.State{}, page)
	}
}

func BenchmarkParse(b *testing.B) {
	data, err := os.ReadFile("testdata/good/full.yaml")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("full.yaml", data); err != nil {
			b.Fatal(err)
		}
	}
}
