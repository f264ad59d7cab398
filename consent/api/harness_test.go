package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/consentgate/consentgate/consent"
)

// The helpers of all tests here. Run them with
//
//	go test ./consent/api
//	go test ./consent/api -fuzz FuzzReturnPath -fuzztime 1m

var testTime = time.Unix(1_764_000_000, 0) // "t68n40" in base 36

const allGranted = "1~v1~t68n40~analytics.functional.marketing"

func testScheme() *consent.Scheme {
	return &consent.Scheme{
		Version: "v1",
		Categories: []consent.Category{
			{ID: "necessary", Name: "Necessary", Description: "Signing in & <security>.", Fixed: true},
			{ID: "functional", Name: "Functional", Description: "Videos and maps."},
			{ID: "analytics", Name: "Analytics", Description: "Counts visits."},
			{ID: "marketing", Name: "Marketing", Description: "Advertising.", DeniedBy: consent.GPC},
		},
	}
}

// testCookies are the categories of the cookies the tests' policy knows.
var testCookies = map[string]int{
	"_ga": 2, "_gid": 2, "_fbp": 3, "__Host-vid": 3, "__Secure-vid": 3, "__Http-vid": 3, "__Host-Http-vid": 3, "__hOST-vid": 3,
}

func testExpire(name string, s consent.State) bool {
	i, known := testCookies[name]
	return known && !s.Granted.Has(i)
}

type harness struct {
	*Handler
	choices []Choice
}

// newHarness returns the handler of https://www.shop.example.
func newHarness(t testing.TB, change ...func(*Options)) *harness {
	t.Helper()
	hs := new(harness)
	o := Options{
		Resolver: &consent.Resolver{Scheme: testScheme(), Now: func() time.Time { return testTime }},
		Prefix:   "/_cg/",
		External: func(*http.Request) (string, string) { return "https", "www.shop.example" },
		Expire:   testExpire,
		OnChoice: func(c Choice) { hs.choices = append(hs.choices, c) },
	}
	for _, f := range change {
		f(&o)
	}
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	hs.Handler = h
	return hs
}

// at makes the site be seen at another address.
func at(scheme, host string) func(*Options) {
	return func(o *Options) {
		o.External = func(*http.Request) (string, string) { return scheme, host }
	}
}

// post returns a request for the choice endpoint as a browser sends it from the
// preferences page.
func post(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/_cg/choice", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", "https://www.shop.example")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

func (hs *harness) do(r *http.Request) *http.Response {
	rec := httptest.NewRecorder()
	hs.ServeHTTP(rec, r)
	return rec.Result()
}

// untouched checks that a request was refused without any effect.
func (hs *harness) untouched(t *testing.T, name string, res *http.Response, status int) {
	t.Helper()
	if res.StatusCode != status {
		t.Errorf("%s: status %d, want %d", name, res.StatusCode, status)
	}
	if len(res.Header["Set-Cookie"]) > 0 || len(res.Header["Location"]) > 0 || len(hs.choices) > 0 {
		t.Errorf("%s: refused, and yet %v, %d choices", name, res.Header, len(hs.choices))
	}
	checkHeaders(t, name, res)
	hs.choices = nil
}

// checkHeaders checks what every answer must carry.
func checkHeaders(t *testing.T, name string, res *http.Response) {
	t.Helper()
	for field, want := range map[string]string{
		"Cache-Control":          "no-store",
		"X-Content-Type-Options": "nosniff",
		"X-Robots-Tag":           "noindex",
		"Referrer-Policy":        "same-origin",
	} {
		if got := res.Header.Get(field); got != want {
			t.Errorf("%s: %s: %q, want %q", name, field, got, want)
		}
	}
	csp := res.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'", "style-src 'sha256-"} {
		if !strings.Contains(csp, want) {
			t.Errorf("%s: policy %q lacks %q", name, csp, want)
		}
	}
	if strings.Contains(csp, "unsafe") || strings.Contains(csp, "script-src") {
		t.Errorf("%s: policy %q", name, csp)
	}
}
