package api

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/consentgate/consentgate/consent"
)

func TestNewRefuses(t *testing.T) {
	ok := &consent.Resolver{Scheme: testScheme()}
	for want, o := range map[string]Options{
		"no resolver":                 {Prefix: "/_cg/"},
		"no scheme":                   {Prefix: "/_cg/", Resolver: &consent.Resolver{}},
		`prefix "": begin and end`:    {Resolver: ok},
		`prefix "/"`:                  {Resolver: ok, Prefix: "/"},
		`prefix "_cg/"`:               {Resolver: ok, Prefix: "_cg/"},
		`prefix "/_cg"`:               {Resolver: ok, Prefix: "/_cg"},
		`prefix "//_cg/"`:             {Resolver: ok, Prefix: "//_cg/"},
		`prefix "/../"`:               {Resolver: ok, Prefix: "/../"},
		`prefix "/a b/"`:              {Resolver: ok, Prefix: "/a b/"},
		`prefix "/%2f/"`:              {Resolver: ok, Prefix: "/%2f/"},
		"no resolver\nconsent api: p": {Prefix: "x"},
	} {
		if h, err := New(o); h != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, err := New(Options{Resolver: ok, Prefix: "/my-site.org/_cg~1/"}); err != nil {
		t.Error(err)
	}
}

// TestRoutes checks which methods do what: only POST changes anything.
func TestRoutes(t *testing.T) {
	hs := newHarness(t)
	form := "action=grant-all"
	for _, tc := range []struct {
		method, target string
		status         int
		allow          string
	}{
		{"GET", "/_cg/preferences", 200, ""},
		{"HEAD", "/_cg/preferences", 200, ""},
		{"GET", "/_cg/preferences?action=grant-all&category=marketing", 200, ""},
		{"POST", "/_cg/preferences", 405, "GET, HEAD"},
		{"PUT", "/_cg/preferences", 405, "GET, HEAD"},
		{"OPTIONS", "/_cg/preferences", 405, "GET, HEAD"},
		{"GET", "/_cg/choice", 405, "POST"},
		{"GET", "/_cg/choice?action=grant-all", 405, "POST"},
		{"HEAD", "/_cg/choice?action=grant-all", 405, "POST"},
		{"OPTIONS", "/_cg/choice", 405, "POST"},
		{"PUT", "/_cg/choice", 405, "POST"},
		{"DELETE", "/_cg/choice", 405, "POST"},
		{"post", "/_cg/choice", 405, "POST"},
		{"GET", "/_cg/", 404, ""},
		{"GET", "/_cg/Preferences", 404, ""},
		{"GET", "/_cg/preferences/", 404, ""},
		{"POST", "/_cg/choice/", 404, ""},
		{"POST", "/_cg//choice", 404, ""},
		{"POST", "/", 404, ""},
	} {
		r := post(form)
		r.Method = tc.method
		r.URL, _ = url.Parse(tc.target)
		res := hs.do(r)
		name := tc.method + " " + tc.target
		hs.untouched(t, name, res, tc.status)
		if body, _ := io.ReadAll(res.Body); (len(body) == 0) != (tc.method == "HEAD") {
			t.Errorf("%s: %d bytes", name, len(body))
		}
		if got := res.Header.Get("Allow"); got != tc.allow {
			t.Errorf("%s: Allow: %q, want %q", name, got, tc.allow)
		}
	}
}

// TestHeadIsGet compares headers on real connections, at success and refusal.
func TestHeadIsGet(t *testing.T) {
	srv := httptest.NewServer(newHarness(t))
	defer srv.Close()
	for _, path := range []string{"/_cg/preferences?return_to=/a", "/_cg/preferences?return_to=//a", "/_cg/nothing"} {
		var headers [2]http.Header
		for i, method := range []string{"GET", "HEAD"} {
			r, _ := http.NewRequest(method, srv.URL+path, nil)
			res, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if (len(body) == 0) != (method == "HEAD") {
				t.Errorf("%s %s: %d bytes", method, path, len(body))
			}
			if method == "GET" && res.Header.Get("Content-Length") != fmt.Sprint(len(body)) {
				t.Errorf("%s: length %s of %d", path, res.Header.Get("Content-Length"), len(body))
			}
			res.Header.Del("Date")
			headers[i] = res.Header
		}
		if !reflect.DeepEqual(headers[0], headers[1]) {
			t.Errorf("%s:\nGET  %v\nHEAD %v", path, headers[0], headers[1])
		}
	}
}

// TestCrossOrigin is the matrix of G1 and G2: which posts are a visitor's own.
func TestCrossOrigin(t *testing.T) {
	const none = "\x00absent"
	for _, tc := range []struct {
		name          string
		scheme, host  string // as the browser sees the site
		origin, fetch string
		want          int
	}{
		{"own page", "https", "www.shop.example", "https://www.shop.example", "same-origin", 303},
		{"own page, address bar", "https", "www.shop.example", "https://www.shop.example", "none", 303},
		{"own page, browser without Sec-Fetch-Site", "https", "www.shop.example", "https://www.shop.example", none, 303},
		{"own page, browser without Origin", "https", "www.shop.example", none, "same-origin", 303},
		{"no browser", "https", "www.shop.example", none, none, 303},
		{"port", "http", "localhost:8080", "http://localhost:8080", "same-origin", 303},
		{"scheme's own port", "https", "www.shop.example:443", "https://www.shop.example", "same-origin", 303},
		{"scheme's own port, http", "http", "www.shop.example:80", "http://www.shop.example", "same-origin", 303},
		{"host in capitals", "HTTPS", "WWW.Shop.Example", "https://www.shop.example", "same-origin", 303},
		{"IPv6", "http", "[::1]:8080", "http://[::1]:8080", "same-origin", 303},

		{"G1 cross-site", "https", "www.shop.example", "https://evil.example", "cross-site", 403},
		{"G1 cross-site, forged origin", "https", "www.shop.example", "https://www.shop.example", "cross-site", 403},
		{"G1 same-site", "https", "www.shop.example", "https://blog.shop.example", "same-site", 403},
		{"G1 same-site, right origin", "https", "www.shop.example", "https://www.shop.example", "same-site", 403},
		{"unknown Sec-Fetch-Site", "https", "www.shop.example", "https://www.shop.example", "other", 403},
		{"capitals in Sec-Fetch-Site", "https", "www.shop.example", "https://www.shop.example", "Same-Origin", 403},
		{"empty Sec-Fetch-Site", "https", "www.shop.example", "https://www.shop.example", "", 403},
		{"same-origin beside a foreign origin", "https", "www.shop.example", "https://evil.example", "same-origin", 403},
		{"none beside a foreign origin", "https", "www.shop.example", "https://evil.example", "none", 403},
		{"old browser, foreign origin", "https", "www.shop.example", "https://evil.example", none, 403},
		{"null origin", "https", "www.shop.example", "null", "same-origin", 403},
		{"null origin, old browser", "https", "www.shop.example", "null", none, 403},
		{"empty origin", "https", "www.shop.example", "", none, 403},
		{"G1 user information", "https", "www.shop.example", "https://www.shop.example@evil.example", none, 403},
		{"G1 user information before our host", "https", "www.shop.example", "https://user@www.shop.example", none, 403},
		{"host as a prefix", "https", "www.shop.example", "https://www.shop.example.evil.example", none, 403},
		{"host as a suffix", "https", "www.shop.example", "https://evilwww.shop.example", none, 403},
		{"path", "https", "www.shop.example", "https://www.shop.example/", none, 403},
		{"downgraded scheme", "https", "www.shop.example", "http://www.shop.example", "same-origin", 403},
		{"upgraded scheme", "http", "www.shop.example", "https://www.shop.example", "same-origin", 403},
		{"other port", "https", "www.shop.example", "https://www.shop.example:8443", "same-origin", 403},
		{"other port of ours", "https", "www.shop.example:8443", "https://www.shop.example", "same-origin", 403},
		{"http's port on https", "https", "www.shop.example:80", "https://www.shop.example", "same-origin", 403},
		{"two origins in one", "https", "www.shop.example", "https://www.shop.example https://evil.example", none, 403},
		{"unknown host", "https", "", "https://www.shop.example", "same-origin", 403},
	} {
		hs := newHarness(t, at(tc.scheme, tc.host))
		r := post("action=grant-all")
		r.Header.Del("Origin")
		r.Header.Del("Sec-Fetch-Site")
		if tc.origin != none {
			r.Header.Set("Origin", tc.origin)
		}
		if tc.fetch != none {
			r.Header.Set("Sec-Fetch-Site", tc.fetch)
		}
		res := hs.do(r)
		if tc.want == 403 {
			hs.untouched(t, tc.name, res, 403)
		} else if res.StatusCode != 303 || len(hs.choices) != 1 {
			t.Errorf("%s: status %d, %d choices", tc.name, res.StatusCode, len(hs.choices))
		}
	}
}

// TestRepeatedOrigin sends fields twice: net/http's Header.Get would see one.
func TestRepeatedOrigin(t *testing.T) {
	hs := newHarness(t)
	for _, field := range []string{"Origin", "Sec-Fetch-Site"} {
		for _, v := range []string{"https://evil.example", "cross-site", "same-origin", "https://www.shop.example"} {
			r := post("action=grant-all")
			r.Header.Add(field, v)
			hs.untouched(t, "second "+field+": "+v, hs.do(r), 403)
		}
	}
}

// TestForwardedHostIsNotRead is G2: only what External says counts.
func TestForwardedHostIsNotRead(t *testing.T) {
	hs := newHarness(t, func(o *Options) { o.External = nil })
	r := post("action=grant-all") // Host is example.com, over plain HTTP
	r.Header.Set("Origin", "https://evil.example")
	r.Header.Set("X-Forwarded-Host", "evil.example")
	r.Header.Set("X-Forwarded-Proto", "https")
	r.Header.Set("Forwarded", "host=evil.example;proto=https")
	hs.untouched(t, "spoofed", hs.do(r), 403)
	r = post("action=grant-all")
	r.Header.Set("Origin", "http://example.com")
	if res := hs.do(r); res.StatusCode != 303 || !strings.HasPrefix(res.Header.Get("Set-Cookie"), "cg=") {
		t.Errorf("direct: %d %v", res.StatusCode, res.Header)
	}
	srv := httptest.NewTLSServer(hs)
	defer srv.Close()
	req, _ := http.NewRequest("POST", srv.URL+"/_cg/choice", strings.NewReader("action=grant-all"))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", srv.URL)
	res, err := srv.Client().Transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 303 || !strings.HasPrefix(res.Header.Get("Set-Cookie"), "__Host-cg=") {
		t.Errorf("direct over TLS: %d %v", res.StatusCode, res.Header)
	}
}

// TestVisit walks through the choices of one visitor, with a browser's cookie jar.
func TestVisit(t *testing.T) {
	hs := newHarness(t, func(o *Options) { o.External = nil })
	srv := httptest.NewTLSServer(hs)
	defer srv.Close()
	client := srv.Client()
	client.Jar, _ = cookiejar.New(nil)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	sc := hs.o.Resolver.Scheme
	all := sc.Optional()
	analytics := consent.Set(0).With(2)

	for i, step := range []struct {
		form, action, level, page string
		granted                   consent.Set
	}{
		{"action=save", "deny", "denied", "You refused everything optional.", 0},
		{"action=grant-all", "grant", "granted", "You allowed everything.", all},
		{"action=save&category=analytics&category=necessary", "grant", "partial", "You allowed some of it.", analytics},
		{"action=save&category=analytics&category=analytics", "grant", "partial", "You allowed some of it.", analytics},
		{"action=deny-all&category=analytics", "deny", "denied", "You refused everything optional.", 0},
		{"action=grant-all&category=analytics", "grant", "granted", "You allowed everything.", all},
		{"action=withdraw&category=analytics", "withdraw", "denied", "You refused everything optional.", 0},
	} {
		res, err := client.Post(srv.URL+"/_cg/choice", "application/x-www-form-urlencoded", strings.NewReader(step.form+"&return_to=%2Fa%3Fb"))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		checkHeaders(t, step.form, res)
		if res.StatusCode != 303 || res.Header.Get("Location") != "/a?b" {
			t.Errorf("%s: %d to %q", step.form, res.StatusCode, res.Header.Get("Location"))
		}
		if len(hs.choices) != i+1 {
			t.Fatalf("%s: %d choices, want %d", step.form, len(hs.choices), i+1)
		}
		c := hs.choices[i]
		if c.Action != step.action || c.Method != "form" || c.Granted.Level(sc) != step.level || c.Granted.Granted != step.granted {
			t.Errorf("%s: %+v", step.form, c)
		}
		if i > 0 && c.Before != hs.choices[i-1].Granted {
			t.Errorf("%s: before %+v, want %+v", step.form, c.Before, hs.choices[i-1].Granted)
		}
		page := get(t, client, srv.URL+"/_cg/preferences")
		if !strings.Contains(page, step.page) {
			t.Errorf("%s: the page lacks %q", step.form, step.page)
		}
	}
	if hs.choices[0].Before != (consent.State{}) {
		t.Errorf("the first choice came after %+v", hs.choices[0].Before)
	}
}

func get(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	res, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
