package api

import (
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	whatwg "github.com/nlnwa/whatwg-url/url"

	"github.com/consentgate/consentgate/consent"
)

func TestChoiceSetsCookie(t *testing.T) {
	for _, tc := range []struct {
		scheme, form, want string
	}{
		{"https", "action=grant-all", "__Host-cg=" + allGranted + "; Path=/; Max-Age=15724800; HttpOnly; SameSite=Lax; Secure"},
		{"http", "action=grant-all", "cg=" + allGranted + "; Path=/; Max-Age=15724800; HttpOnly; SameSite=Lax"},
		{"https", "action=deny-all", "__Host-cg=1~v1~t68n40~; Path=/; Max-Age=15724800; HttpOnly; SameSite=Lax; Secure"},
		{"https", "action=withdraw", "__Host-cg=1~v1~t68n40~; Path=/; Max-Age=15724800; HttpOnly; SameSite=Lax; Secure"},
		{"https", "category=marketing&action=save", "__Host-cg=1~v1~t68n40~marketing; Path=/; Max-Age=15724800; HttpOnly; SameSite=Lax; Secure"},
	} {
		hs := newHarness(t, at(tc.scheme, "www.shop.example"))
		r := post(tc.form)
		r.Header.Set("Origin", tc.scheme+"://www.shop.example")
		res := hs.do(r)
		if got := res.Header["Set-Cookie"]; res.StatusCode != 303 || len(got) != 1 || got[0] != tc.want {
			t.Errorf("%s %s: %d\n got %v\nwant %s", tc.scheme, tc.form, res.StatusCode, got, tc.want)
		}
		if got := res.Header["Location"]; len(got) != 1 || got[0] != "/" {
			t.Errorf("%s: to %q", tc.form, got)
		}
		checkHeaders(t, tc.form, res)
	}
}

// TestChoiceUnderSignal accepts everything in a browser that sends GPC: the choice
// is stored as made, what is in force lacks marketing.
func TestChoiceUnderSignal(t *testing.T) {
	hs := newHarness(t)
	r := post("action=grant-all")
	r.Header.Set("Sec-GPC", "1")
	r.Header.Set("Cookie", "_fbp=1; _ga=2")
	res := hs.do(r)
	if got := res.Header["Set-Cookie"]; len(got) < 2 || !strings.Contains(got[0], "~analytics.functional.marketing;") {
		t.Errorf("got %v", got)
	}
	for _, line := range res.Header["Set-Cookie"][1:] {
		if !strings.HasPrefix(line, "_fbp=;") {
			t.Errorf("%s: only what the signal took away must go", line)
		}
	}
	c := hs.choices[0]
	if c.Granted.Chosen != testScheme().Optional() || c.Granted.Granted.Has(3) || c.Granted.Signals != consent.GPC {
		t.Errorf("%+v", c)
	}
}

// TestBody is the matrix of bodies, G5: what is not a clear choice changes nothing.
func TestBody(t *testing.T) {
	const urlencoded = "application/x-www-form-urlencoded"
	pad := func(n int) string { return "action=deny-all&return_to=/" + strings.Repeat("a", n) }
	for _, tc := range []struct {
		name, contentType, body string
		want                    int
	}{
		{"plain", urlencoded, "action=deny-all", 303},
		{"charset", urlencoded + "; charset=utf-8", "action=deny-all", 303},
		{"capitals", "Application/X-WWW-Form-Urlencoded", "action=deny-all", 303},
		{"same field twice, equal", urlencoded, "action=save&action=save&return_to=/&return_to=/", 303},
		{"percent-encoded", urlencoded, "%61ction=deny%2Dall", 303},
		{"long path", urlencoded, pad(2047), 303},

		{"no type", "", "action=deny-all", 415},
		{"JSON", "application/json", `{"action":"grant-all"}`, 415},
		{"text", "text/plain", "action=grant-all", 415},
		{"multipart", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=action\r\n\r\ngrant-all\r\n--x--\r\n", 415},
		{"broken type", urlencoded + "; charset", "action=grant-all", 415},
		{"two types", urlencoded + ", text/plain", "action=grant-all", 415},

		{"empty", urlencoded, "", 400},
		{"no action", urlencoded, "category=analytics", 400},
		{"empty action", urlencoded, "action=", 400},
		{"unknown action", urlencoded, "action=grant", 400},
		{"action in capitals", urlencoded, "action=Grant-All", 400},
		{"two actions", urlencoded, "action=deny-all&action=grant-all", 400},
		{"unknown field", urlencoded, "action=grant-all&purpose=1", 400},
		{"field in capitals", urlencoded, "Action=grant-all", 400},
		{"nameless field", urlencoded, "action=grant-all&=1", 400},
		{"unknown category", urlencoded, "action=save&category=analytics&category=all", 400},
		{"unknown category beside accept", urlencoded, "action=grant-all&category=*", 400},
		{"empty category", urlencoded, "action=save&category=", 400},
		{"categories in one", urlencoded, "action=save&category=analytics,marketing", 400},
		{"category with NUL", urlencoded, "action=save&category=analytics%00", 400},
		{"two paths", urlencoded, "action=grant-all&return_to=/a&return_to=/b", 400},
		{"broken encoding", urlencoded, "action=grant-all&return_to=%zz", 400},
		{"semicolon", urlencoded, "action=grant-all;category=marketing", 400},
		{"path too long", urlencoded, pad(2048), 400},
		{"4 KiB", urlencoded, pad(4096 - 27), 400}, // read in full, and refused for its path
		{"beyond 4 KiB", urlencoded, pad(4097 - 27), 413},
		{"1 MiB", urlencoded, pad(1 << 20), 413},
	} {
		hs := newHarness(t)
		r := post(tc.body)
		r.Header.Del("Content-Type")
		if tc.contentType != "" {
			r.Header.Set("Content-Type", tc.contentType)
		}
		res := hs.do(r)
		if tc.want != 303 {
			hs.untouched(t, tc.name, res, tc.want)
		} else if res.StatusCode != 303 || len(hs.choices) != 1 {
			t.Errorf("%s: status %d, %d choices", tc.name, res.StatusCode, len(hs.choices))
		}
	}
	hs := newHarness(t)
	r := post("action=grant-all")
	r.Header.Set("Content-Encoding", "gzip")
	hs.untouched(t, "compressed", hs.do(r), 415)

	r = post("")
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader("action=grant-all"), brokenReader{}))
	hs.untouched(t, "cut off", hs.do(r), 400)

	r = post("")
	r.URL.RawQuery = "action=grant-all"
	hs.untouched(t, "choice in the query", hs.do(r), 400)
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

// TestRedirect is the matrix of G3: where a visitor can be sent.
func TestRedirect(t *testing.T) {
	for in, want := range map[string]string{
		"/":                        "/",
		"/a":                       "/a",
		"/a/b?c=d&e=f#g":           "/a/b?c=d&e=f#g",
		"/a//b":                    "/a//b",
		"/?u=//evil":               "/?u=//evil",
		"/?u=https://evil.example": "/?u=https://evil.example",
		"/?q=line%0Aline%5C":       "/?q=line%0Aline%5C", // data of the site, never a path
		"/@evil":                   "/@evil",
		"/:80":                     "/:80",
		"/a%20b%2Fc":               "/a%20b%2Fc",
		"/100%":                    "/100%",
		"/%zz":                     "/%zz",
		"/ä/€ x":                   "/%C3%A4/%E2%82%AC%20x",
		"/\u2028":                  "/%E2%80%A8",
		"/a..b/.c/d./...":          "/a..b/.c/d./...",
		"/_cg/preferences":         "/_cg/preferences",
		"/_cg/choices":             "/_cg/choices",
		"/?/_cg/choice":            "/?/_cg/choice",

		"":                             "",
		"a":                            "",
		"//evil":                       "",
		"///evil":                      "",
		"/\\evil":                      "",
		"\\/evil":                      "",
		"\\\\evil":                     "",
		"/a\\b":                        "",
		"/a?b\\c":                      "",
		"/\t/evil":                     "",
		"/\n/evil":                     "",
		"/\r/evil":                     "",
		"\t//evil":                     "",
		" //evil":                      "",
		"/a\tb":                        "",
		"/a?\n":                        "",
		"/a\r\nSet-Cookie: x=y":        "",
		"/a\x00":                       "",
		"/a\x7f":                       "",
		"/a\u0085":                     "",
		"/%5cevil":                     "",
		"/%5Cevil":                     "",
		"/%2fevil":                     "",
		"/%2Fevil":                     "",
		"/%09/evil":                    "",
		"/%0d%0aevil":                  "",
		"/%00":                         "",
		"/..//evil":                    "",
		"/.//evil":                     "",
		"/a/../..//evil":               "",
		"/%2e%2e//evil":                "",
		"/.%2E/":                       "",
		"/..":                          "",
		"https://evil.example":         "",
		"https:/evil":                  "",
		"https://www.shop.example/a":   "",
		"javascript:alert(1)":          "",
		"/\xff":                        "",
		"/\xc0\xaf":                    "",
		"/_cg/choice":                  "",
		"/_cg/choice?x":                "",
		"/_cg/choice#x":                "",
		"/_cg/choice/":                 "",
		"/_cg/%63hoice":                "",
		"/_cg%2Fchoice":                "",
		"/" + strings.Repeat("ä", 400): "", // 2401 bytes once encoded
	} {
		hs := newHarness(t)
		form := "action=deny-all&return_to=" + escapeAll(in)
		res := hs.do(post(form))
		if want == "" {
			hs.untouched(t, in, res, 400)
		} else if got := res.Header["Location"]; res.StatusCode != 303 || len(got) != 1 || got[0] != want {
			t.Errorf("%q: %d to %q, want %q", in, res.StatusCode, got, want)
		}
		// The page judges the same.
		res = hs.do(httptest.NewRequest("GET", "/_cg/preferences?return_to="+escapeAll(in), nil))
		body, _ := io.ReadAll(res.Body)
		if (res.StatusCode == 200) != (want != "") || (res.StatusCode == 400) != (want == "") {
			t.Errorf("%q: page with status %d", in, res.StatusCode)
		}
		if got := hiddenField(t, body); want != "" && got != want {
			t.Errorf("%q: page returns to %q, want %q", in, got, want)
		}
	}
}

// escapeAll percent-encodes every byte.
func escapeAll(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		b.WriteString("%")
		b.WriteByte("0123456789abcdef"[c>>4])
		b.WriteByte("0123456789abcdef"[c&15])
	}
	return b.String()
}

func TestPageReturnsToReferer(t *testing.T) {
	hs := newHarness(t)
	for referer, want := range map[string]string{
		"":                                           "/",
		"https://www.shop.example/de/a?b=c":          "/de/a?b=c",
		"https://www.shop.example":                   "/",
		"https://www.shop.example/":                  "/",
		"https://www.shop.example//evil":             "/",
		"https://www.shop.example.evil/x":            "/",
		"https://www.shop.example@evil/x":            "/",
		"https://www.shop.example:8443/x":            "/",
		"http://www.shop.example/x":                  "/",
		"https://evil.example/x":                     "/",
		"https://www.shop.example/_cg/preferences?x": "/",
		"https://www.shop.example/_cg/choice":        "/",
		"https://www.shop.example/\\evil":            "/",
		"https://www.shop.example/a/_cg/preferences": "/a/_cg/preferences",
		"https://www.shop.example?x":                 "/",
		"about:client":                               "/",
	} {
		r := httptest.NewRequest("GET", "/_cg/preferences", nil)
		r.Header.Set("Referer", referer)
		body, _ := io.ReadAll(hs.do(r).Body)
		if got := hiddenField(t, body); got != want {
			t.Errorf("%q: returns to %q, want %q", referer, got, want)
		}
	}
	r := httptest.NewRequest("GET", "/_cg/preferences?return_to=/a&return_to=/b", nil)
	hs.untouched(t, "two paths", hs.do(r), 400)
	r = httptest.NewRequest("GET", "/_cg/preferences?return_to=/a", nil)
	r.Header.Set("Referer", "https://www.shop.example/b")
	body, _ := io.ReadAll(hs.do(r).Body)
	if got := hiddenField(t, body); got != "/a" {
		t.Errorf("the query goes first: %q", got)
	}
}

// FuzzReturnPath resolves any accepted path as browsers do (WHATWG URL): it must
// lead to this site, and stay as it is when checked again.
func FuzzReturnPath(f *testing.F) {
	for _, s := range []string{"/", "/a/b?c#d", "/\t/evil", "/%5cevil", "/ä", "/..//evil", "//evil", "/%"} {
		f.Add(s)
	}
	hs := newHarness(f)
	f.Fuzz(func(t *testing.T, s string) {
		path, ok := hs.returnPath(s)
		if !ok {
			return
		}
		if again, ok := hs.returnPath(path); !ok || again != path {
			t.Errorf("%q became %q, and that %q, %t", s, path, again, ok)
		}
		for _, b := range []byte(path) {
			if b <= ' ' || b >= 0x7f || b == '\\' {
				t.Errorf("%q became %q", s, path)
			}
		}
		if !strings.HasPrefix(path, "/") || len(path) > maxReturnTo {
			t.Errorf("%q became %q", s, path)
		}
		u, err := whatwg.ParseRef("https://www.shop.example/_cg/choice", path)
		if err != nil || u.Protocol() != "https:" || u.Host() != "www.shop.example" || u.Username() != "" ||
			strings.HasPrefix(u.Pathname(), "//") || strings.HasPrefix(u.Pathname(), "/_cg/choice/") {
			t.Errorf("%q leads to %v, %v", s, u, err)
		}
	})
}
