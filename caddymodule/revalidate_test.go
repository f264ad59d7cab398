package caddymodule

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// conditional is a site that answers 304 to everybody who has its tag.
func conditional(t *testing.T, whole string, fields304 ...string) string {
	return raw(t, func(c net.Conn, r *http.Request) {
		if strings.Contains(r.Header.Get("If-None-Match"), `"a"`) {
			io.WriteString(c, "HTTP/1.1 304 Not Modified\r\n"+strings.Join(append(fields304, "Connection: close"), "\r\n")+"\r\n\r\n")
			return
		}
		io.WriteString(c, whole)
	})
}

// A page that left under weaker options is not revived by a 304 once they are
// stricter.
func TestRevalidateOptions(t *testing.T) {
	xhtml := response("200 OK", tracked, "Content-Type: application/xhtml+xml", `ETag: "a"`)
	late := page("<!--"+strings.Repeat(" ", 100)+"--><script>/*"+strings.Repeat("x", 2000)+"*/"+
		"var s=document.createElement('script');s.src='https://connect.facebook.net/en_US/fbevents.js';document.head.append(s)</script>", `ETag: "a"`)
	for name, tc := range map[string]struct{ whole, weak, strict string }{
		"failure policy": {xhtml, "failure_policy observe", "failure_policy guarded"},
		"max_inline":     {late, "max_inline 1KiB", "max_inline 64KiB"},
		"no-transform":   {page(tracked, `ETag: "a"`, "Cache-Control: no-transform"), "honor_no_transform", "max_hold 64KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			addr := conditional(t, tc.whole, `ETag: "a"`)
			tag := start(t, proxy(addr, tc.weak)).get("/").Header.Get("ETag")
			g := start(t, proxy(addr, tc.strict))
			if got := g.get("/", "If-None-Match", tag); got.StatusCode != 200 {
				t.Errorf("%s: %d", tag, got.StatusCode)
			}
			if got := g.get("/", "If-None-Match", g.get("/").Header.Get("ETag")); got.StatusCode != 304 {
				t.Errorf("its own tag: %d", got.StatusCode)
			}
		})
	}
	if got := start(t, proxy(conditional(t, xhtml), "failure_policy observe")).get("/"); got.Header.Get("ETag") != "" {
		t.Errorf("an unguarded page can be revalidated: %v", got.Header)
	}
}

// A 304 speaks of the stored bytes, which are ours: what the site says of its own
// must not be merged into them.
func TestRevalidateFields(t *testing.T) {
	body := string(encoded(t, "gzip", []byte(tracked)))
	addr := conditional(t, page(body, "Content-Encoding: gzip", `ETag: "a"`, "Vary: X-Foo"),
		"Content-Encoding: gzip", "Content-Type: text/html", "Repr-Digest: sha-256=:x:", "Accept-Ranges: bytes", "Vary: X-Foo",
		"Cache-Control: public, s-maxage=600", "Content-Security-Policy: object-src 'none'")
	for _, fields := range [][]string{
		{"Accept", "text/html"},
		{"Accept", "*/*", "Sec-Fetch-Dest", "empty"}, // as data; and the site's 304 has no tag
	} {
		g := start(t, proxy(addr))
		first := g.get("/", append(fields, "Accept-Encoding", "gzip")...)
		got := g.get("/", append(fields, "Accept-Encoding", "gzip", "If-None-Match", first.Header.Get("ETag"))...)
		if got.StatusCode != 304 {
			t.Fatalf("%q: %d", fields, got.StatusCode)
		}
		for _, name := range []string{"Content-Encoding", "Content-Type", "Repr-Digest", "Accept-Ranges", "Content-Security-Policy", "Last-Modified"} {
			if got.Header.Get(name) != "" {
				t.Errorf("%q: %s: %s", fields, name, got.Header.Get(name))
			}
		}
		if cc := got.Header.Get("Cache-Control"); cc != "private" {
			t.Errorf("%q: Cache-Control %q", fields, cc)
		}
	}
}

// The policy line over a stored picture is not taken away by a 304.
func TestRevalidatePicture(t *testing.T) {
	svg := response("200 OK", "<svg xmlns='http://www.w3.org/2000/svg'/>", "Content-Type: image/svg+xml", `ETag: "a"`, "Content-Security-Policy: object-src 'none'")
	g := start(t, proxy(conditional(t, svg, `ETag: "a"`, "Content-Security-Policy: object-src 'none'")))
	for _, cookie := range []string{"", granted(t)} {
		got := g.get("/a.svg", "Sec-Fetch-Dest", "image", "Cookie", cookie, "If-None-Match", `"a"`)
		if got.StatusCode != 304 || got.Header.Get("Content-Security-Policy") != "" {
			t.Errorf("cookie %q: %d %v", cookie, got.StatusCode, got.Header)
		}
	}
}

// A HEAD of what cannot be read has the headers of its GET.
func TestHeadUnreadable(t *testing.T) {
	for _, mode := range []string{policyStrict, policyGuarded, policyObserve} {
		g := start(t, proxy(answering(t, page(tracked, "Content-Encoding: foo", `ETag: "a"`)), "failure_policy "+mode))
		get, head := g.get("/"), g.do(http.MethodHead, "/")
		for _, a := range []answer{get, head} {
			a.Header.Del("Date")
			a.Header.Del("Content-Length")
		}
		if get.StatusCode != head.StatusCode || !equalHeaders(get.Header, head.Header) {
			t.Errorf("%s: %d %v\n%d %v", mode, get.StatusCode, get.Header, head.StatusCode, head.Header)
		}
	}
}

// In an emergency nobody keeps what leaves, not even caches that heed fields of
// their own.
func TestBudgetShared(t *testing.T) {
	inHand.Add(2 << 20)
	defer inHand.Add(-2 << 20)
	addr := answering(t, page(tracked, "Cache-Control: public", "X-Accel-Expires: 600", "CDN-Cache-Control: max-age=600", "Surrogate-Control: max-age=600"))
	g := start(t, proxy(addr, "max_memory 1MiB\ncache shared"))
	got := g.get("/")
	if got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("Content-Security-Policy") != shieldCSP {
		t.Errorf("%v", got.Header)
	}
	for _, name := range []string{"X-Accel-Expires", "CDN-Cache-Control", "Surrogate-Control"} {
		if got.Header.Get(name) != "" {
			t.Errorf("%s: %s", name, got.Header.Get(name))
		}
	}
	// From whom nothing is held, nothing is taken.
	g = start(t, proxy(answering(t, response("200 OK", tracked, "X-Nothing: here")), "max_memory 1MiB\nfailure_policy strict"))
	if got := g.get("/", "Cookie", granted(t)); got.StatusCode != 200 || got.body != tracked {
		t.Errorf("granted: %d %v", got.StatusCode, got.Header)
	}
}

// What a window takes is set aside, also for a body that is no page.
func TestBudgetMeasures(t *testing.T) {
	release := make(chan bool)
	long := randomText(400_000)
	addr := raw(t, func(c net.Conn, r *http.Request) {
		body := string(encoded(t, r.URL.Query().Get("coding"), []byte(long)))
		head := "HTTP/1.1 200 OK\r\nContent-Encoding: " + r.URL.Query().Get("coding") + "\r\nConnection: close\r\n"
		if r.URL.Path == "/page" {
			head += "Content-Type: text/html\r\n"
		}
		io.WriteString(c, head+"\r\n"+body[:len(body)*9/10])
		<-release
	})
	for path, want := range map[string]struct {
		accept string
		least  int64
	}{
		"/page?coding=zstd": {"identity", 1 << 20}, "/page?coding=gzip": {"gzip", 500 << 10}, "/other?coding=gzip": {"gzip", 500 << 10},
	} {
		eventually(t, "nothing in hand", func() bool { return inHand.Load() == 0 })
		g := start(t, proxy(addr))
		req, err := http.NewRequest(http.MethodGet, "http://"+g.addr+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept-Encoding", want.accept)
		resp, err := plainClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if n := inHand.Load(); n < want.least {
			t.Errorf("%s: %d bytes set aside, at least %d are held", path, n, want.least)
		}
		release <- true
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		eventually(t, "all given back", func() bool { return inHand.Load() == 0 })
	}
}

func init() {
	caddy.RegisterModule(lyingHandler{})
	caddy.RegisterModule(abortingWriter{})
	httpcaddyfile.RegisterHandlerDirective("consent_test_lie", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return new(lyingHandler), nil
	})
	httpcaddyfile.RegisterHandlerDirective("consent_test_abort", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return new(abortingWriter), nil
	})
}

// lyingHandler announces an empty page and sends one.
type lyingHandler struct{}

func (lyingHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.consent_test_lie", New: func() caddy.Module { return new(lyingHandler) }}
}

func (lyingHandler) ServeHTTP(w http.ResponseWriter, _ *http.Request, _ caddyhttp.Handler) error {
	w.Header().Set("Content-Type", "text/html")
	w.Header().Set("Content-Length", "0")
	_, err := io.Copy(w, strings.NewReader(tracked+strings.Repeat("<p>x</p>", 1000)))
	return err
}

// A body that must not be there does not pass, even if a handler around us mends
// its length.
func TestEmptyIsEmpty(t *testing.T) {
	for _, before := range []string{"", "encode\n"} {
		g := start(t, "route {\n"+before+"consent\nconsent_test_lie\n}")
		got := g.get("/", "Accept-Encoding", "gzip")
		if text := decodedBody(t, got); text != "" {
			t.Errorf("%q: %v %q", before, got.Header, text)
		}
	}
}

// abortingWriter puts a writer around the response that gives up at the end of a
// page, as some do when the visitor has gone.
type abortingWriter struct{}

func (abortingWriter) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.consent_test_abort", New: func() caddy.Module { return new(abortingWriter) }}
}

func (abortingWriter) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return next.ServeHTTP(&abortsWrites{&caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}, r)
}

type abortsWrites struct {
	*caddyhttp.ResponseWriterWrapper
}

func (abortsWrites) Write([]byte) (int, error) { panic(http.ErrAbortHandler) }

// Memory that was set aside comes back when the writer below panics, at the very
// end too.
func TestBudgetAborted(t *testing.T) {
	eventually(t, "nothing in hand", func() bool { return inHand.Load() == 0 })
	g := start(t, "route {\nconsent_test_abort\nconsent\nreverse_proxy "+answering(t, page(tracked))+"\n}")
	for range 3 {
		if resp, err := plainClient.Get("http://" + g.addr + "/"); err == nil {
			resp.Body.Close()
		}
	}
	eventually(t, "all given back", func() bool { return inHand.Load() == 0 })
	if !g.counted(outcomeAborted, 3) {
		t.Errorf("%v counted as aborted", g.outcome(outcomeAborted))
	}
}

// Placeholders behind show nothing that is withheld, and error routes find what
// the visitor sent.
func TestPlaceholders(t *testing.T) {
	g := start(t, "handle_errors {\nheader X-Error {http.request.cookie._ga}\nrespond err\n}\n"+
		"consent\nroute {\nrequest_header X-User alice\nheader X-Seen {http.request.header.X-User}\nheader X-Ga \"{http.request.cookie._ga}\"\n@fail path /fail\nerror @fail 500\nrespond x\n}")
	for _, cookie := range []string{"_ga=1", "_ga=1; " + granted(t), "session=1"} {
		for _, accept := range []string{"text/html", "*/*"} {
			got := g.get("/x.css", "Cookie", cookie, "Accept", accept, "Sec-Fetch-Dest", "style")
			wantGa := ""
			if strings.Contains(cookie, "; ") {
				wantGa = "1"
			}
			if got.Header.Get("X-Seen") != "alice" || got.Header.Get("X-Ga") != wantGa {
				t.Errorf("%q, %s: %v", cookie, accept, got.Header)
			}
		}
	}
	if got := g.get("/fail", "Cookie", "_ga=1"); got.Header.Get("X-Error") != "1" {
		t.Errorf("error route: %v", got.Header)
	}
}
