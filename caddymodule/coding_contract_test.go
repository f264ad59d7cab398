package caddymodule

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"

	"github.com/consentgate/consentgate/rewriter"
)

// encoded returns data in a content coding.
func encoded(t *testing.T, coding string, data []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "gzip":
		w = gzip.NewWriter(&buf)
	case "deflate":
		w = zlib.NewWriter(&buf)
	case "raw deflate":
		w, _ = flate.NewWriter(&buf, 6)
	case "br":
		w = brotli.NewWriter(&buf)
	case "zstd":
		w, _ = zstd.NewWriter(&buf)
	default:
		return data
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// A17: the site is only asked for codings we can undo, and for those.
func TestContractA17AcceptEncoding(t *testing.T) {
	seen := make(chan http.Header, 1)
	addr := raw(t, func(c net.Conn, r *http.Request) {
		seen <- r.Header
		io.WriteString(c, page(tracked))
	})
	g := start(t, proxy(addr))
	ask := []string{"Accept", "text/html", "Accept-Encoding", "gzip, deflate, br, zstd, dcb, dcz", "Available-Dictionary", ":x:"}
	g.get("/", ask...)
	if h := <-seen; h.Get("Accept-Encoding") != "gzip, deflate, br, zstd" || h.Get("Available-Dictionary") != "" {
		t.Errorf("restricted: site was asked for %q with dictionary %q", h.Get("Accept-Encoding"), h.Get("Available-Dictionary"))
	}
	g.get("/", append(ask, "Cookie", granted(t))...)
	if h := <-seen; h.Get("Accept-Encoding") != ask[3] || h.Get("Available-Dictionary") != ":x:" || h.Get("Cookie") != "" {
		t.Errorf("granted: site was asked with %v", h)
	}
}

// A18: whatever the coding and its state, a page arrives rewritten or not at all.
func TestContractA18Codings(t *testing.T) {
	long := []byte(strings.Repeat("<p>some text of a page, line "+"</p>\n", 4000) + tracked)
	for _, coding := range []string{"gzip", "deflate", "raw deflate", "br", "zstd", "gzip, br"} {
		label := strings.TrimPrefix(coding, "raw ")
		whole := func(data []byte) []byte {
			if coding == "gzip, br" {
				return encoded(t, "br", encoded(t, "gzip", data))
			}
			return encoded(t, coding, data)
		}
		t.Run(coding, func(t *testing.T) {
			for _, body := range [][]byte{[]byte(tracked), long} {
				g := start(t, proxy(answering(t, page(string(whole(body)), "Content-Encoding: "+label))))
				got := g.get("/", "Accept-Encoding", "gzip, br")
				text := decodedBody(t, got)
				if got.StatusCode != 200 || got.err != nil || strings.Contains(text, live) || !strings.HasSuffix(text, "hello</p></body></html>") {
					t.Errorf("whole: %d %v %v …%q", got.StatusCode, got.err, got.Header, tail(text))
				}
				// A compressed site stays one, for clients that want it.
				if coding := got.Header.Get("Content-Encoding"); coding != map[bool]string{true: "br", false: "gzip"}[strings.Contains(label, "br")] && coding != "br" {
					t.Errorf("whole: sent in %q", coding)
				}
				if got := g.get("/"); got.Header.Get("Content-Encoding") != "" || strings.Contains(got.body, live) || !strings.HasSuffix(got.body, "hello</p></body></html>") {
					t.Errorf("client without codings: %v …%q", got.Header, tail(got.body))
				}
				// Granted: the very bytes of the site.
				if got := g.get("/", "Accept-Encoding", "gzip, br", "Cookie", granted(t)); got.body != string(whole(body)) || got.Header.Get("Content-Encoding") != label {
					t.Errorf("granted: %v", got.Header)
				}
			}
			cut := whole(long)
			cut = cut[:len(cut)*2/3]
			g := start(t, proxy(answering(t, page(string(cut), "Content-Encoding: "+label))))
			if got := ask(t, plainClient, "GET", "http://"+g.addr+"/"); got.StatusCode == 200 && got.err == nil || strings.Contains(got.body, live) {
				t.Errorf("cut: %d %v, looks complete", got.StatusCode, got.err)
			}
			g = start(t, proxy(answering(t, page(tracked, "Content-Encoding: "+label)), "failure_policy strict"))
			if got := g.get("/"); got.StatusCode != 502 || strings.Contains(got.body, live) {
				t.Errorf("mislabelled: %d %q", got.StatusCode, got.body)
			}
			if n := g.value(`caddy_consent_bypasses_total{action="refused",reason="corrupt"}`); n != 1 {
				t.Errorf("mislabelled: counted %v times", n)
			}
		})
	}
}

func tail(s string) string { return s[max(0, len(s)-300):] }

// A18, E8: what cannot be rewritten meets the failure policy, and is counted by
// its reason and what was done.
func TestContractA18Unreadable(t *testing.T) {
	for name, tc := range map[string]struct{ response, reason string }{
		"unknown":     {page(tracked, "Content-Encoding: foo"), "content_encoding"},
		"three":       {page(tracked, "Content-Encoding: gzip, gzip, gzip"), "content_encoding"},
		"mislabelled": {page(tracked, "Content-Encoding: gzip"), "corrupt"},
		"xhtml":       {response("200 OK", tracked, "Content-Type: application/xhtml+xml"), "xml"},
		"partial":     {response("206 Partial Content", tracked, "Content-Type: text/html", "Content-Range: bytes 0-9/99"), "partial"},
	} {
		t.Run(name, func(t *testing.T) {
			addr := answering(t, tc.response)
			g := start(t, proxy(addr, "failure_policy strict"))
			got := g.get("/")
			if got.StatusCode != 502 || strings.Contains(got.body, live) || !strings.Contains(got.body, "cannot be shown") || got.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("strict: %d %v %q", got.StatusCode, got.Header, got.body)
			}
			if got.Header.Get("Content-Encoding") != "" || got.Header.Get("Content-Range") != "" {
				t.Errorf("strict: the site's headers stayed: %v", got.Header)
			}
			// The answer leaves before it is counted.
			eventually(t, "strict: counted", func() bool {
				return g.outcome(outcomeBlocked) == 1 && g.bypassed(tc.reason, remedyRefused) == 1
			})

			g = start(t, proxy(addr))
			got = g.get("/")
			_, body, _ := strings.Cut(tc.response, "\r\n\r\n")
			if got.body != body || !strings.Contains(tc.response, got.Status) {
				t.Errorf("guarded: %s %q, want %q", got.Status, got.body, body)
			}
			if csp := got.Header["Content-Security-Policy"]; len(csp) != 1 || csp[0] != shieldCSP {
				t.Errorf("guarded: policy %q", csp)
			}
			if !g.counted(outcomeBypassed, 1) || g.bypassed(tc.reason, remedyGuarded) != 1 {
				t.Errorf("guarded: not counted")
			}

			g = start(t, proxy(addr, "failure_policy observe"))
			got = g.get("/")
			if got.body != body || got.Header.Get("Content-Security-Policy") != "" || got.Header.Get("Content-Security-Policy-Report-Only") != shieldCSP {
				t.Errorf("observe: %v %q", got.Header, got.body)
			}
			if !g.counted(outcomeUnguarded, 1) || g.bypassed(tc.reason, remedyUnguarded) != 1 {
				t.Errorf("observe: not counted")
			}
			// With everything granted there is nothing to read.
			if got := g.get("/", "Accept-Encoding", "gzip", "Cookie", granted(t)); got.body != body || got.Header.Get("Content-Security-Policy") != "" {
				t.Errorf("granted: %v %q", got.Header, got.body)
			}
		})
	}
}

// A19: encode stands outside without an order line; what templates and intercept
// make is rewritten too.
func TestContractA19Order(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{
		"index.html": `<!DOCTYPE html><title>t</title>{{include "/part.html"}}` + strings.Repeat("<p>long enough to compress</p>", 100),
		"part.html":  tracked,
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := start(t, "root "+dir+"\nfile_server\ntemplates\nconsent\nencode gzip")
	got := g.get("/", "Accept-Encoding", "gzip")
	if got.Header.Get("Content-Encoding") != "gzip" || !strings.HasSuffix(got.Header.Get("Etag")+`-gzip"`, `-gzip"`) {
		t.Fatalf("not compressed outside: %v", got.Header)
	}
	zr, err := gzip.NewReader(strings.NewReader(got.body))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(zr)
	if err != nil || bytes.Contains(body, []byte(live)) || !bytes.Contains(body, []byte("hello")) {
		t.Errorf("templates: %v %q", err, body)
	}

	g = start(t, "consent\nintercept {\n@err status 404\nhandle_response @err {\nheader Content-Type text/html\nrespond <<HTML\n"+tracked+"\nHTML 404\n}\n}\nroot "+dir+"\nfile_server")
	if got := g.get("/missing"); got.StatusCode != 404 && got.StatusCode != 200 || strings.Contains(got.body, live) {
		t.Errorf("intercept: %d %q", got.StatusCode, got.body)
	}
}

// A25: what is no page is never looked into.
func TestContractA25Types(t *testing.T) {
	for contentType, want := range map[string]outcome{
		"text/html":                     outcomeRewritten,
		"text/html; charset=utf-8":      outcomeRewritten,
		"TEXT/HTML;x":                   outcomeRewritten,
		"text/plain,text/html":          outcomeRewritten,
		"text/html; foo; charset=utf-8": outcomeRewritten,
		"*/*":                           outcomeRewritten, // sniffed
		"unknown/unknown":               outcomeRewritten,
		"":                              outcomeRewritten,
		"application/xhtml+xml":         outcomeBypassed,
		"text/xml":                      outcomeBypassed,
		"image/svg+xml":                 outcomeBypassed,
		"text/event-streamfoo":          outcomePassed,
		"text/event-stream":             outcomePassed,
		"text/plain":                    outcomePassed,
		"text/css":                      outcomePassed,
		"application/json":              outcomePassed,
		"application/javascript":        outcomePassed,
		"image/png":                     outcomePassed,
		"application/octet-stream":      outcomePassed,
		"text/htmlx":                    outcomePassed,
		"application/pdf\r\nContent-Disposition: attachment":     outcomePassed,
		"application/unknown\r\nX-Content-Type-Options: nosniff": outcomePassed,
	} {
		head := "Content-Type: " + contentType
		if contentType == "" {
			head = "X-Nothing: here"
		}
		g := start(t, proxy(answering(t, response("200 OK", tracked, head))))
		got := g.get("/")
		if !g.counted(want, 1) {
			t.Errorf("%q: not counted as %s", contentType, want)
		}
		if rewritten := !strings.Contains(got.body, live); rewritten != (want == outcomeRewritten) {
			t.Errorf("%q: rewritten is %v", contentType, rewritten)
		}
		if want == outcomePassed && got.body != tracked {
			t.Errorf("%q: changed", contentType)
		}
		if shielded := got.Header.Get("Content-Security-Policy") == shieldCSP; shielded != (want == outcomeBypassed) {
			t.Errorf("%q: shielded is %v", contentType, shielded)
		}
	}
}

// D7: what does not begin like a page is sent so that no browser takes it for one.
func TestContractD7NoPage(t *testing.T) {
	for _, body := range []string{"just text " + tracked, "\x89PNG\r\n" + tracked, "{}", ""} {
		g := start(t, proxy(answering(t, response("200 OK", body, "Content-Type: unknown/unknown"))))
		got := g.get("/")
		if got.body != body || got.Header.Get("X-Content-Type-Options") != "nosniff" && body != "" {
			t.Errorf("%q: %v %q", body, got.Header, got.body)
		}
		if got := g.get("/", "Cookie", granted(t)); got.body != body || got.Header.Get("X-Content-Type-Options") != "" {
			t.Errorf("granted, %q: %v %q", body, got.Header, got.body)
		}
		if got := g.get("/", "Sec-Fetch-Dest", "script", "Accept", "*/*"); got.body != body || got.Header.Get("X-Content-Type-Options") != "" {
			t.Errorf("as a script, %q: %v %q", body, got.Header, got.body)
		}
	}
}

// D1: the character set a page was read in stands in its header.
func TestContractD1Charset(t *testing.T) {
	pad := "<head>" + strings.Repeat("<!-- padding -->", 100) + "<script>" + strings.Repeat("var a = 1;", 100) + "</script>"
	latin := "<title>caf\xe9</title>"
	for body, want := range map[string]string{
		tracked:                                               "text/html; charset=utf-8",
		pad + "<meta charset=utf-8><p>é":                      "text/html; charset=utf-8",
		pad + "<meta charset=koi8-r><p>é":                     "text/html; charset=koi8-r",
		latin + pad + "<body>":                                "text/html; charset=windows-1252",
		latin + pad + "<meta charset=iso-8859-2>":             "text/html; charset=iso-8859-2",
		pad + "<body><p>caf\xe9<meta charset=iso-8859-2>":     "text/html; charset=windows-1252",
		pad + "<body><p>é<meta charset=iso-2022-jp>":          "text/html; charset=utf-8",
		strings.Repeat(pad, 4) + "<meta charset=iso-2022-jp>": "text/html; charset=utf-8",
		strings.Repeat(pad, 4) + "<meta charset=utf-8><p>é":   "text/html; charset=utf-8",
		"<title>plain</title>":                                "text/html; charset=windows-1252",
		"\xef\xbb\xbf<title>x</title>":                        "text/html; charset=utf-8",
		`<meta charset=shift_jis><p>x`:                        "text/html; charset=shift_jis",
	} {
		g := start(t, proxy(answering(t, page(body))))
		if got := g.get("/").Header.Get("Content-Type"); !strings.EqualFold(got, want) {
			t.Errorf("%q: %q, want %q", body, got, want)
		}
	}
	// Within reach, it makes the page one to be turned into UTF-8.
	g := start(t, proxy(answering(t, page(pad+"<meta charset=iso-2022-jp>\x1b$B$\"\x1b(B"))))
	if got := g.get("/"); !strings.HasSuffix(got.body, "あ") || got.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("declared behind 1024 bytes: %v …%q", got.Header, tail(got.body))
	}
}

func newGzip(w io.Writer) *gzip.Writer { return gzip.NewWriter(w) }

// decodedBody returns the body of an answer with its coding undone.
func decodedBody(t *testing.T, a answer) string {
	t.Helper()
	var out bytes.Buffer
	dec, err := rewriter.NewDecoder(rewriter.Codings(a.Header), &out, rewriter.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dec.Write([]byte(a.body)); err != nil {
		t.Fatal(err)
	}
	if err := dec.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
