package caddymodule

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// folder is a site of files.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A15: a page is never served in slices; other files are.
func TestContractA15Range(t *testing.T) {
	dir := folder(t, map[string]string{"index.html": tracked, "film.mp4": strings.Repeat("x", 5000)})
	for _, before := range []string{"", "encode\n"} {
		g := start(t, before+"root "+dir+"\nconsent\nfile_server")
		got := g.get("/", "Range", "bytes=0-99", "Accept", "text/html")
		if got.StatusCode != 200 || strings.Contains(got.body, live) || !strings.HasSuffix(got.body, "</html>") || got.Header.Get("Accept-Ranges") != "" {
			t.Errorf("page: %d %v %q", got.StatusCode, got.Header, got.body)
		}
		got = g.get("/film.mp4", "Range", "bytes=0-99", "Sec-Fetch-Dest", "video")
		if got.StatusCode != 206 || len(got.body) != 100 || got.Header.Get("Accept-Ranges") != "bytes" {
			t.Errorf("film: %d %v", got.StatusCode, got.Header)
		}
		// With everything granted slices of pages are the site's business.
		if got := g.get("/", "Range", "bytes=0-9", "Accept", "text/html", "Cookie", granted(t)); got.StatusCode != 206 || got.body != tracked[:10] {
			t.Errorf("granted page: %d %q", got.StatusCode, got.body)
		}
	}
}

// A16: trailers pass, but not those that would vouch for other bytes or set cookies.
func TestContractA16Trailers(t *testing.T) {
	for name, announce := range map[string]string{"announced": "Trailer: X-T, Repr-Digest, Set-Cookie\r\n", "unannounced": ""} {
		body := "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n" + announce + "Transfer-Encoding: chunked\r\n\r\n" +
			fmt.Sprintf("%x\r\n%s\r\n0\r\nX-T: yes\r\nRepr-Digest: sha-256=:x:\r\nSet-Cookie: _ga=1\r\n\r\n", len(tracked), tracked)
		g := start(t, proxy(answering(t, body)))
		got := g.get("/", "TE", "trailers")
		if got.Trailer.Get("X-T") != "yes" || got.Trailer.Get("Repr-Digest") != "" || got.Trailer.Get("Set-Cookie") != "" || got.err != nil {
			t.Errorf("%s: %v, %v", name, got.Trailer, got.err)
		}
		if strings.Contains(got.body, live) {
			t.Errorf("%s: not rewritten", name)
		}
	}
}

// A20: what is decided leaves at once; the site may wait for the visitor to see
// each piece before it sends the next.
func TestContractA20NoDelay(t *testing.T) {
	pieces := []string{"<!DOCTYPE html><title>x</title><p>one</p>", "<p>two</p>",
		`<script src=https://www.googletagmanager.com/gtag/js></script><p>three</p>`, "<p>four</p>"}
	for _, coding := range []string{"", "gzip"} {
		seen := make(chan bool)
		addr := raw(t, func(c net.Conn, _ *http.Request) {
			head := "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n"
			var w io.Writer = c
			flush := func() {}
			if coding == "gzip" {
				head += "Content-Encoding: gzip\r\n"
				zw := newGzip(c)
				w, flush = zw, func() { zw.Flush() }
			}
			io.WriteString(c, head+"\r\n")
			for _, p := range pieces {
				io.WriteString(w, p)
				flush()
				if !<-seen {
					return
				}
			}
			if zw, ok := w.(io.Closer); ok && coding != "" {
				zw.Close()
			}
		})
		g := start(t, proxy(addr))
		resp, err := plainClient.Get("http://" + g.addr + "/")
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		buf := make([]byte, 4096)
		for _, p := range pieces {
			want := p[len(p)-len("<p>two</p>"):]
			for !strings.HasSuffix(got.String(), want) {
				n, err := resp.Body.Read(buf)
				got.Write(buf[:n])
				if err != nil {
					t.Fatalf("%q: waiting for %q: %v after %q", coding, want, err, got.String())
				}
			}
			seen <- true
		}
		rest, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || len(rest) != 0 || strings.Contains(got.String(), " src=") {
			t.Errorf("%q: %v, rest %q, got %q", coding, err, rest, got.String())
		}
	}
}

// A22: when the visitor goes, the site is told, and everything comes back.
func TestContractA22Disconnect(t *testing.T) {
	ended := make(chan bool, 100)
	addr := raw(t, func(c net.Conn, _ *http.Request) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n")
		for {
			if _, err := io.WriteString(c, tracked); err != nil {
				ended <- true
				return
			}
		}
	})
	g := start(t, proxy(addr))
	const visitors = 50
	for range visitors {
		resp, err := plainClient.Get("http://" + g.addr + "/")
		if err != nil {
			t.Fatal(err)
		}
		io.CopyN(io.Discard, resp.Body, 1000)
		resp.Body.Close()
	}
	for range visitors {
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			t.Fatal("the site still sends")
		}
	}
	eventually(t, "all counted as aborted", func() bool { return g.outcome(outcomeAborted) == visitors })
	if n := g.value(`caddy_consent_bypasses_total{reason="corrupt"}`); n != 0 {
		t.Errorf("%v pages taken for corrupt", n)
	}
}

// A24: no-transform does not protect a page from being rewritten unless the
// operator says so, and then the browser holds back.
func TestContractA24NoTransform(t *testing.T) {
	addr := answering(t, page(tracked, "Cache-Control: no-transform"))
	g := start(t, proxy(addr))
	if got := g.get("/"); strings.Contains(got.body, live) || g.value(`caddy_consent_no_transform_total{honored="false"}`) != 1 {
		t.Errorf("default: %q", got.body)
	}
	g = start(t, proxy(addr, "honor_no_transform"))
	got := g.get("/")
	if got.body != tracked || got.Header.Get("Content-Security-Policy") != shieldCSP || g.bypassed("no_transform", remedyGuarded) != 1 {
		t.Errorf("honored: %v %q", got.Header, got.body)
	}
}

// B1 to B4: a page is revalidated within a state, never across states.
func TestContractB1Variants(t *testing.T) {
	dir := folder(t, map[string]string{"index.html": tracked, "a.css": "p{}"})
	for name, tc := range map[string]struct{ lines, coding string }{
		"plain":  {"root " + dir + "\nconsent\nfile_server", ""},
		"encode": {"root " + dir + "\nconsent\nfile_server\nencode {\nminimum_length 1\n}", "gzip"},
	} {
		t.Run(name, func(t *testing.T) {
			g := start(t, tc.lines)
			states := map[string]string{"none": "", "analytics": granted(t, "analytics"), "all": granted(t), "gpc": ""}
			tags := map[string]string{}
			get := func(state string, fields ...string) answer {
				if state == "gpc" {
					fields = append(fields, "Sec-GPC", "1")
				}
				return g.get("/", append(fields, "Cookie", states[state], "Accept", "text/html", "Accept-Encoding", tc.coding)...)
			}
			for state := range states {
				got := get(state)
				tags[state] = got.Header.Get("Etag")
				if tags[state] == "" || got.Header.Get("Last-Modified") != "" || got.Header.Get("Cache-Control") != "private" ||
					!hasToken(got.Header["Vary"], "Cookie") {
					t.Errorf("%s: %v", state, got.Header)
				}
			}
			if tags["none"] == tags["all"] || tags["none"] == tags["analytics"] || tags["all"] == tags["analytics"] {
				t.Errorf("same tag for several states: %v", tags)
			}
			for asking := range states {
				for held := range states {
					want := 200
					if tags[asking] == tags[held] {
						want = 304
					}
					got := get(asking, "If-None-Match", `"other", W/`+tags["analytics"]+"x, "+tags[held], "If-Modified-Since", time.Now().UTC().Format(http.TimeFormat))
					if got.StatusCode != want {
						t.Errorf("%s with the tag of %s: %d, want %d", asking, held, got.StatusCode, want)
					}
					if tag := strings.Replace(got.Header.Get("Etag"), `-gzip"`, `"`, 1); want == 304 && tag != strings.Replace(tags[held], `-gzip"`, `"`, 1) {
						t.Errorf("304 carries %q, not %q", tag, tags[held])
					}
					if want == 304 && (got.Header.Get("Cache-Control") != "private" || !hasToken(got.Header["Vary"], "Cookie")) {
						t.Errorf("304 carries %v", got.Header)
					}
				}
			}
			// B3: a date says nothing about the state.
			if got := get("none", "If-Modified-Since", time.Now().UTC().Format(http.TimeFormat)); got.StatusCode != 200 {
				t.Errorf("date alone: %d", got.StatusCode)
			}
		})
	}
}

// B5, B12: no shared cache keeps a page, and nothing vouches for bytes that changed.
func TestContractB5Shared(t *testing.T) {
	g := start(t, proxy(answering(t, page(tracked, "Cache-Control: public, s-maxage=600, max-age=60", "Surrogate-Control: max-age=9",
		"CDN-Cache-Control: max-age=9", "Content-MD5: x", "Digest: sha-256=x", "Repr-Digest: sha-256=:x:", `ETag: W/"a"`, "Age: 3"))))
	for _, cookie := range []string{"", granted(t)} {
		h := g.get("/", "Cookie", cookie).Header
		if cc := h.Get("Cache-Control"); !strings.Contains(cc, "private") || strings.Contains(cc, "public") || strings.Contains(cc, "s-maxage") || !strings.Contains(cc, "max-age=60") {
			t.Errorf("%q: Cache-Control %q", cookie, cc)
		}
		if h.Get("Surrogate-Control") != "" || h.Get("Cdn-Cache-Control") != "" || h.Get("Age") != "3" || !strings.HasPrefix(h.Get("Etag"), `W/"a~`) {
			t.Errorf("%q: %v", cookie, h)
		}
		if digests := h.Get("Content-Md5") + h.Get("Digest") + h.Get("Repr-Digest"); (digests == "") != (cookie == "") {
			t.Errorf("%q: digests %q", cookie, digests)
		}
	}
}

// B8: what is no page has the same headers with and without the gateway.
func TestContractB8Untouched(t *testing.T) {
	dir := folder(t, map[string]string{"a.css": "p{}", "a.js": "1", "a.png": "\x89PNG\r\n\x1a\n", "a.json": "{}", "a.txt": "x", "a.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>"})
	now := time.Now().UTC().Format(http.TimeFormat)
	headers := func(lines string) map[string]string {
		g := start(t, "root "+dir+"\n"+lines+"\nfile_server")
		all := map[string]string{}
		for _, name := range []string{"a.css", "a.js", "a.png", "a.json", "a.txt", "a.svg"} {
			for _, fields := range [][]string{{}, {"Range", "bytes=0-0"}, {"If-None-Match", `"x"`}, {"If-Modified-Since", now}} {
				got := g.get("/"+name, append(fields, "Sec-Fetch-Dest", "image", "Accept-Encoding", "gzip, dcb", "Cookie", "session=1")...)
				got.Header.Del("Date")
				if csp := got.Header.Get("Content-Security-Policy"); name == "a.svg" && got.StatusCode != 304 && lines != "" {
					// A cache may give it to somebody who opens it as a document.
					if csp != shieldCSP {
						t.Errorf("%s: policy %q", name, csp)
					}
					got.Header.Del("Content-Security-Policy")
				}
				all[name+fmt.Sprint(fields[:len(fields)&^1])] = fmt.Sprint(got.StatusCode, got.Header, got.body)
			}
		}
		return all
	}
	with, without := headers("consent"), headers("")
	for key := range without {
		if with[key] != without[key] {
			t.Errorf("%s:\nwith    %s\nwithout %s", key, with[key], without[key])
		}
	}
}

// A23: the same over HTTP/2.
func TestContractA23HTTP2(t *testing.T) {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: &protocols, DisableCompression: true}, Timeout: 10 * time.Second}
	g := start(t, proxy(answering(t, page(tracked, "Set-Cookie: _ga=1", "Set-Cookie: session=1"))), "servers {\nprotocols h1 h2c\n}")
	for _, cookie := range []string{"", granted(t)} {
		h1 := g.get("/", "Cookie", cookie)
		h2 := ask(t, client, "GET", "http://"+g.addr+"/", "Cookie", cookie)
		if h2.ProtoMajor != 2 {
			t.Fatalf("spoke %s", h2.Proto)
		}
		for _, h := range []http.Header{h1.Header, h2.Header} {
			h.Del("Date")
		}
		if h1.body != h2.body || fmt.Sprint(h1.Header) != fmt.Sprint(h2.Header) {
			t.Errorf("%q:\nh1 %v %q\nh2 %v %q", cookie, h1.Header, h1.body, h2.Header, h2.body)
		}
	}
	client.CloseIdleConnections()
}
