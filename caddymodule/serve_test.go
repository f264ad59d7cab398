package caddymodule

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// The site gets the cookies that are granted, byte for byte, and never ours.
func TestRequestCookies(t *testing.T) {
	seen := make(chan []string, 1)
	addr := raw(t, func(c net.Conn, r *http.Request) {
		seen <- r.Header["Cookie"]
		io.WriteString(c, response("200 OK", "{}", "Content-Type: application/json", "Set-Cookie: cg=forged", "Set-Cookie: __Host-cg=forged; Secure; Path=/"))
	})
	g := start(t, proxy(addr))
	own := granted(t)
	many := strings.Repeat("a=1; ", 3000) + "_ga=1"
	for cookie, want := range map[string][]string{
		`session="x y"; _ga=GA1; theme={"a":1}`: {`session="x y"; theme={"a":1}`},
		`session="x y"; _ga=GA1; ` + own:        {`session="x y"; _ga=GA1`},
		own:                                     nil,
		"session=1; " + own + "; cg=other":      {"session=1"},
		many:                                    nil,
		"session=1; {env.HOME}={http.request.uri.path}": {"session=1; {env.HOME}={http.request.uri.path}"},
	} {
		got := g.get("/", "Cookie", cookie)
		if cookies := <-seen; !slices.Equal(cookies, want) {
			t.Errorf("sent    %.60q\nsite got %q\nwant     %q", cookie, cookies, want)
		}
		if set := got.Header["Set-Cookie"]; len(set) != 0 {
			t.Errorf("the site set our cookie: %q", set)
		}
	}
}

// F6: cookies of any answer are filtered, whatever its status and type.
func TestResponseCookies(t *testing.T) {
	for _, status := range []string{"200 OK", "302 Found", "404 Not Found", "500 Internal Server Error"} {
		for _, contentType := range []string{"text/html", "image/gif", "application/json"} {
			g := start(t, proxy(answering(t, response(status, "x", "Content-Type: "+contentType, "Location: /y",
				"Set-Cookie: a=1; Path=/", "Set-Cookie: _ga=2", "Set-Cookie:  b = 3 ", "Set-Cookie: _fbp=; Max-Age=0", "Set-Cookie: _fbp=4"))))
			got := g.get("/").Header["Set-Cookie"]
			if want := []string{"a=1; Path=/", "b = 3", "_fbp=; Max-Age=0"}; !slices.Equal(got, want) {
				t.Errorf("%s %s: %q", status, contentType, got)
			}
			if n := g.value(`caddy_consent_cookies_total{action="block",category="marketing",direction="response"}`); n != 1 {
				t.Errorf("marketing cookies blocked: %v", n)
			}
		}
	}
}

// A header operation around us that Caddy applies at once is filtered like the
// site's own headers; nobody is warned.
func TestHeaderOperationAtOnce(t *testing.T) {
	g := start(t, "header {\n+Set-Cookie _ga=1\n+Set-Cookie session=1\nLink \"<https://www.googletagmanager.com>; rel=preconnect\"\nContent-Security-Policy \"img-src 'self'\"\n}\n"+
		proxy(answering(t, response("200 OK", "<a/>", "Content-Type: text/xml"))))
	h := g.get("/").Header
	if !slices.Equal(h["Set-Cookie"], []string{"session=1"}) || h.Get("Link") != "" || !slices.Equal(h["Content-Security-Policy"], []string{"img-src 'self'", shieldCSP}) {
		t.Errorf("got %v", h)
	}
	if w := g.entries("outside consent"); len(w) != 0 {
		t.Errorf("warned: %v", w)
	}
}

// Nobody answers: Caddy does, and the headers are filtered all the same.
func TestNobodyAnswers(t *testing.T) {
	g := start(t, "header +Set-Cookie _ga=1\nheader +Set-Cookie session=1\nconsent")
	if got := g.get("/"); got.StatusCode != 200 || !slices.Equal(got.Header["Set-Cookie"], []string{"session=1"}) {
		t.Errorf("got %d %v", got.StatusCode, got.Header)
	}
}

// The preferences page is ours whatever the site rewrites its paths to, and the
// site never sees a request for it.
func TestOwnPrefix(t *testing.T) {
	asked := make(chan string, 10)
	addr := raw(t, func(c net.Conn, r *http.Request) {
		asked <- r.URL.Path
		io.WriteString(c, page(tracked))
	})
	dir := folder(t, map[string]string{"index.html": tracked})
	for name, tc := range map[string]struct{ lines, prefix string }{
		"proxy":     {proxy(addr), "/_cg/"},
		"prefix":    {proxy(addr, "prefix /privacy/choices/"), "/privacy/choices/"},
		"try_files": {"root " + dir + "\ntry_files {path} /index.html\nconsent\nfile_server", "/_cg/"},
		"rewrite":   {"rewrite /index.php{uri}\n" + proxy(addr), "/_cg/"},
	} {
		t.Run(name, func(t *testing.T) {
			g := start(t, tc.lines)
			got := g.get(tc.prefix + "preferences")
			if got.StatusCode != 200 || !strings.Contains(got.body, "<form") || got.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("preferences: %d %v %.200q", got.StatusCode, got.Header, got.body)
			}
			for _, path := range []string{tc.prefix, strings.TrimSuffix(tc.prefix, "/"), tc.prefix + "nothing"} {
				if got := g.get(path); got.StatusCode != 404 {
					t.Errorf("%s: %d", path, got.StatusCode)
				}
			}
			if n := g.settled(outcomeOwn, 4); n != 4 {
				t.Errorf("counted %v answers of our own", n)
			}
			select {
			case path := <-asked:
				t.Errorf("the site was asked for %s", path)
			default:
			}
		})
	}
}

// Choosing on the form changes what the site gets and what the page holds, and
// is counted.
func TestChoice(t *testing.T) {
	g := start(t, proxy(answering(t, page(tracked))))
	choose := func(cookie, form string) string {
		t.Helper()
		req, _ := http.NewRequest("POST", "http://"+g.addr+"/_cg/choice", strings.NewReader(form))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", "http://"+g.addr)
		req.Header.Set("Cookie", cookie)
		resp, err := plainClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != 303 || resp.Header.Get("Location") != "/back" {
			body, _ := io.ReadAll(resp.Body)
			t.Fatalf("%s: %d %v %s", form, resp.StatusCode, resp.Header, body)
		}
		pair, _, _ := strings.Cut(resp.Header.Get("Set-Cookie"), ";")
		return pair
	}
	all := choose("", "action=grant-all&return_to=/back")
	if got := g.get("/", "Cookie", all, "Accept", "text/html"); got.body != tracked {
		t.Errorf("after granting: %q", got.body)
	}
	some := choose(all, url.Values{"action": {"save"}, "category": {"functional"}, "return_to": {"/back"}}.Encode())
	if got := g.get("/", "Cookie", some, "Accept", "text/html"); strings.Contains(got.body, live) {
		t.Errorf("after taking back: %q", got.body)
	}
	choose(some, "action=deny-all&return_to=/back")
	for series, want := range map[string]float64{
		`caddy_consent_choices_total{action="grant",category="functional",method="form",regime="opt-in"}`:    2,
		`caddy_consent_choices_total{action="withdraw",category="functional",method="form",regime="opt-in"}`: 1,
		`caddy_consent_choices_total{action="grant",category="marketing",method="form",regime="opt-in"}`:     1,
		`caddy_consent_choices_total{action="withdraw",category="marketing",method="form",regime="opt-in"}`:  1,
		`caddy_consent_choices_total{action="deny",category="marketing",method="form",regime="opt-in"}`:      1,
		`caddy_consent_page_views_total{regime="opt-in",state="granted"}`:                                    1,
		`caddy_consent_page_views_total{regime="opt-in",state="partial"}`:                                    1,
		`caddy_consent_page_views_total{regime="opt-in",state="undecided"}`:                                  0,
	} {
		if got := g.value(series); got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
}

// What proxies in front say about scheme and host counts only if they are trusted.
func TestExternalAddress(t *testing.T) {
	for globals, want := range map[string]int{"": 403, "servers {\ntrusted_proxies static 127.0.0.1\n}": 303} {
		g := start(t, "consent\nrespond no", globals)
		req, _ := http.NewRequest("POST", "http://"+g.addr+"/_cg/choice", strings.NewReader("action=deny-all&return_to=/"))
		for field, value := range map[string]string{
			"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://shop.example",
			"X-Forwarded-Proto": "http, https", "X-Forwarded-Host": "evil.example, shop.example",
		} {
			req.Header.Set(field, value)
		}
		resp, err := plainClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%q: %d, want %d", globals, resp.StatusCode, want)
		}
		if secure := strings.Contains(resp.Header.Get("Set-Cookie"), "__Host-cg="); secure != (want == 303) {
			t.Errorf("%q: %v", globals, resp.Header)
		}
	}
}

// Of two consent handlers on the way of a request the outer one acts.
func TestNested(t *testing.T) {
	g := start(t, "consent\nhandle {\nconsent {\nprefix /inner/\n}\nreverse_proxy "+answering(t, page(tracked, `ETag: "a"`))+"\n}")
	if got := g.get("/", "Cookie", granted(t)); got.body != tracked || strings.Count(got.Header.Get("Etag"), "~") != 1 {
		t.Errorf("granted: %v %q", got.Header, got.body)
	}
	if got := g.get("/"); strings.Contains(got.body, live) || strings.Count(got.body, "data-cg-held") != 1 || !g.counted(outcomeRewritten, 1) {
		t.Errorf("restricted: %q", got.body)
	}
}

// A handler that fails after a page has begun: what its error route writes must
// not be appended to the page.
func TestFailureInsidePage(t *testing.T) {
	dir := folder(t, map[string]string{"index.html": `{{"begun"}}`})
	if err := os.WriteFile(dir+"/big.html", []byte(tracked), 0o600); err != nil {
		t.Fatal(err)
	}
	g := start(t, "route {\nconsent\nconsent_test_fail\n}\nhandle_errors {\nheader Content-Type text/html\nrespond <<HTML\n"+tracked+"\nHTML\n}")
	resp, err := plainClient.Get("http://" + g.addr + "/")
	var body []byte
	if err == nil {
		body, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil || strings.Contains(string(body), live) {
		t.Errorf("%v, got %q", err, body)
	}
	if !g.counted(outcomeAborted, 1) {
		t.Error("not counted as aborted")
	}
}

// A fault of our own breaks the response off; the rest of the page never leaves.
func TestPanicInside(t *testing.T) {
	g := start(t, "route {\nconsent_test_panic\nconsent\nreverse_proxy "+answering(t, page(tracked+strings.Repeat("<p>x</p>", 10000)))+"\n}")
	resp, err := plainClient.Get("http://" + g.addr + "/")
	var body []byte
	if err == nil {
		body, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil || strings.Contains(string(body), live) {
		t.Errorf("%v, got %d bytes", err, len(body))
	}
	if g.bypassed("panic", remedyBrokenOff) != 1 {
		t.Error("not counted")
	}
	eventually(t, "logged", func() bool { return len(g.entries("panic while rewriting")) == 1 })
}

// A21: a flush may come from a timer. This test is for the race detector.
func TestContractA21TimerFlush(t *testing.T) {
	addr := raw(t, func(c net.Conn, _ *http.Request) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: "+"8000\r\n\r\n")
		for range 80 {
			io.WriteString(c, strings.Repeat("<p>x</p>  ", 10))
			time.Sleep(200 * time.Microsecond)
		}
	})
	g := start(t, "consent\nreverse_proxy "+addr+" {\nflush_interval 1ms\n}")
	done := make(chan string)
	for range 8 {
		go func() {
			for range 10 {
				resp, err := plainClient.Get("http://" + g.addr + "/")
				if err != nil {
					done <- err.Error()
					continue
				}
				n, err := io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				done <- fmt.Sprint(n, err)
			}
		}()
	}
	for range 80 {
		if got := <-done; got != "8000 <nil>" {
			t.Fatalf("got %s", got)
		}
	}
}
