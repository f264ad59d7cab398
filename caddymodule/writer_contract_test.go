package caddymodule

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Server-sent events arrive one by one, and upgraded connections work, whatever
// other writers stand around ours.
func TestContractA1Streams(t *testing.T) {
	for name, tc := range map[string]struct{ before, after, global string }{
		"bare":      {},
		"logs":      {before: "log {\noutput discard\n}"},
		"encode":    {before: "encode"},
		"intercept": {after: "intercept {\n@never status 599\nhandle_response @never {\nrespond no\n}\n}"},
		"deferred":  {before: "header >X-Late yes"},
		"timeouts":  {global: "servers {\ntimeouts {\nwrite_idle 5s\n}\n}"},
		"metrics":   {global: "metrics"},
		"templates": {after: "templates"},
		"auth":      {before: "forward_auth " + answering(t, response("200 OK", "")) + " {\nuri /\n}"},
	} {
		t.Run(name, func(t *testing.T) {
			step := make(chan int)
			addr := raw(t, func(c net.Conn, r *http.Request) {
				if r.Header.Get("Upgrade") != "" {
					echo(c)
					return
				}
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
				for i := range step {
					fmt.Fprintf(c, "data: %d\n\n", i)
				}
			})
			g := start(t, tc.before+"\nconsent\n"+tc.after+"\nreverse_proxy "+addr, tc.global)
			events(t, g, step)
			webSocket(t, g)
		})
	}
}

// events sends an event only when the one before was seen.
func events(t *testing.T, g *gate, step chan int) {
	t.Helper()
	resp, err := plainClient.Get("http://" + g.addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	br := bufio.NewReader(resp.Body)
	for i := range 5 {
		step <- i
		line, err := br.ReadString('\n')
		if want := fmt.Sprintf("data: %d\n", i); err != nil || line != want {
			t.Fatalf("event %d: got %q, %v", i, line, err)
		}
		if _, err := br.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	close(step)
	// Hanging up before the end would count as a response broken off.
	if _, err := io.Copy(io.Discard, br); err != nil {
		t.Fatal(err)
	}
}

// echo accepts an upgrade and returns what it gets. Its answer sets a cookie.
func echo(c net.Conn) {
	io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Accept: x\r\nSet-Cookie: _ga=1\r\nSet-Cookie: session=1\r\n\r\n")
	io.Copy(c, c)
}

func webSocket(t *testing.T, g *gate) {
	t.Helper()
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprintf(c, "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n", g.addr)
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %v, %v", resp, err)
	}
	if cookies := resp.Header["Set-Cookie"]; !slices.Equal(cookies, []string{"session=1"}) {
		t.Errorf("cookies of the handshake: %q", cookies)
	}
	for _, word := range []string{"hello", "<script src=https://www.googletagmanager.com/gtag/js>"} {
		io.WriteString(c, word)
		got := make([]byte, len(word))
		if _, err := io.ReadFull(br, got); err != nil || string(got) != word {
			t.Fatalf("sent %q, got %q, %v", word, got, err)
		}
	}
	c.Close()
	// Caddy counts the bytes of a tunnel without a lock: stopping it while the
	// tunnel still ends is a race of its own.
	eventually(t, "tunnel ended", func() bool { return g.outcome(outcomePassed) == 2 })
}

// A flush before the first byte must not send a status that is not the final one.
func TestContractA2EarlyFlush(t *testing.T) {
	release := make(chan bool)
	addr := raw(t, func(c net.Conn, _ *http.Request) {
		// Unknown length: the proxy flushes at once, before any byte.
		io.WriteString(c, "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n")
		<-release
		io.WriteString(c, tracked)
	})
	g := start(t, proxy(addr))
	time.AfterFunc(100*time.Millisecond, func() { close(release) })
	got := g.get("/")
	if got.StatusCode != 404 || strings.Contains(got.body, live) || !strings.Contains(got.body, "hello") {
		t.Errorf("got %d %q", got.StatusCode, got.body)
	}
}

// File servers copy with ReadFrom: pages are rewritten all the same, files pass
// unchanged.
func TestContractA3ReadFrom(t *testing.T) {
	dir := t.TempDir()
	blob := make([]byte, 50<<20)
	rng := rand.NewChaCha8([32]byte{})
	rng.Read(blob)
	// What looks like markup in a file that is no page is none of our business.
	copy(blob[1000:], tracked)
	for name, data := range map[string][]byte{
		"index.html": []byte(tracked),
		"long.html":  []byte(strings.Repeat("<p>padding</p>\n", 10000) + tracked),
		"blob.bin":   blob,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, before := range []string{"", "encode\n", "log {\noutput discard\n}\n"} {
		g := start(t, before+"root "+dir+"\nconsent\nfile_server")
		for _, path := range []string{"/", "/long.html"} {
			if got := g.get(path); got.err != nil || strings.Contains(got.body, live) || !strings.Contains(got.body, "hello</p></body></html>") {
				t.Errorf("%s: %v, not rewritten to the end: …%q", path, got.err, got.body[max(0, len(got.body)-400):])
			}
		}
		if got := g.get("/blob.bin"); got.body != string(blob) || got.ContentLength != int64(len(blob)) {
			t.Errorf("blob: got %d bytes, length %d", len(got.body), got.ContentLength)
		}
	}
}

// Informational answers pass in order, and do not settle the final one; what they
// hint at is filtered.
func TestContractA4Informational(t *testing.T) {
	addr := answering(t,
		"HTTP/1.1 102 Processing\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: </own.css>; rel=preload; as=style, <https://www.googletagmanager.com/gtag/js>; rel=preload; as=script\r\nSet-Cookie: session=2\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: </own.js>; rel=preload; as=script\r\n\r\n",
		page(tracked, "Link: <https://www.google-analytics.com>; rel=preconnect", "Link: </final.css>; rel=preload; as=style", "Set-Cookie: session=1"))
	g := start(t, proxy(addr))
	br := bufio.NewReader(strings.NewReader(g.rawAsk("GET / HTTP/1.1\nHost: " + g.addr + "\nAccept: text/html\nConnection: close\n\n")))
	var heads []string
	for {
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatalf("after %q: %v", heads, err)
		}
		heads = append(heads, fmt.Sprint(resp.StatusCode, resp.Header["Link"], resp.Header["Set-Cookie"]))
		if resp.StatusCode < 200 {
			continue
		}
		// A5: the final answer has its own headers.
		if body, _ := io.ReadAll(resp.Body); resp.Header.Get("Vary") == "" || strings.Contains(string(body), live) {
			t.Errorf("final: %v %q", resp.Header, body)
		}
		break
	}
	want := []string{
		"102 [] []",
		"103 [</own.css>; rel=preload; as=style] []",
		"103 [</own.js>; rel=preload; as=script] []",
		"200 [</final.css>; rel=preload; as=style] [session=1]",
	}
	if !slices.Equal(heads, want) {
		t.Errorf("got  %q\nwant %q", heads, want)
	}

	// A7: none towards HTTP/1.0.
	if old := g.rawAsk("GET / HTTP/1.0\nHost: " + g.addr + "\n\n"); !strings.HasPrefix(old, "HTTP/1.0 200") {
		t.Errorf("HTTP/1.0 got %q", old[:min(len(old), 80)])
	}
}

// A site that breaks off in the middle of a page must not look complete, and
// what was held must not leave.
func TestContractA8BrokenSite(t *testing.T) {
	for name, head := range map[string]string{
		"chunked":  "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n<!DOCTYPE html><p>visible</p><scr", // 64 bytes announced
		"A9 sized": "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5000\r\n\r\n<!DOCTYPE html><p>visible</p><scr",
	} {
		t.Run(name, func(t *testing.T) {
			g := start(t, proxy(answering(t, head)))
			resp, err := plainClient.Get("http://" + g.addr + "/")
			if err == nil {
				var body []byte
				body, err = io.ReadAll(resp.Body)
				resp.Body.Close()
				if bytes.Contains(body, []byte("<scr")) {
					t.Errorf("held bytes left: %q", body)
				}
			}
			if err == nil {
				t.Error("the page looks complete")
			}
			if n := g.settled(outcomeAborted, 1); n != 1 {
				t.Errorf("aborted counted %v times", n)
			}
		})
	}
}

// A page that is shorter than announced breaks off, though nothing behind says so
// and the rewritten page has another length anyway.
func TestContractA9ShortBody(t *testing.T) {
	g := start(t, "route {\nconsent\nconsent_test_short\n}")
	for aborted, sent := range []string{"0", "100", "5000"} {
		resp, err := plainClient.Get("http://" + g.addr + "/?" + sent)
		if err == nil {
			var body []byte
			body, err = io.ReadAll(resp.Body)
			resp.Body.Close()
			if bytes.Contains(body, []byte(live)) {
				t.Errorf("%s bytes: live: %q", sent, body)
			}
		}
		if err == nil {
			t.Errorf("%s bytes: the page looks complete", sent)
		}
		if n := g.settled(outcomeAborted, float64(aborted+1)); n != float64(aborted+1) {
			t.Errorf("%s bytes: aborted counted %v times", sent, n)
		}
	}
	if whole := g.get("/?99999"); whole.err != nil || !strings.HasSuffix(whole.body, "<p>x</p>") {
		t.Errorf("whole: %d bytes, %v", len(whole.body), whole.err)
	}
	if got := g.do(http.MethodHead, "/?0"); got.err != nil {
		t.Errorf("HEAD: %v", got.err)
	}
}

// Where the end of the connection is the end of the page, a cut cannot be seen.
// What is cut is then not let out live.
func TestContractA10CutTag(t *testing.T) {
	for _, tail := range []string{`<script src=https://www.googletagmanager.com/gtag/js`, `<script src=https://www.googletagmanager.com/gtag/js>`, `<img src="https://www.facebook.com/tr?id=1`} {
		g := start(t, proxy(answering(t, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<p>visible</p>"+tail)))
		for _, version := range []string{"1.0", "1.1"} {
			got := g.rawAsk("GET / HTTP/" + version + "\nHost: " + g.addr + "\nConnection: close\n\n")
			if strings.Contains(got, " src=") || !strings.Contains(got, "visible") {
				t.Errorf("HTTP/%s, %s: got %q", version, tail, got)
			}
		}
	}
}

// An error of the handlers behind, before any output, reaches the error routes,
// and those write around us unless the directive stands there too.
func TestContractA11ErrorRoutes(t *testing.T) {
	body := "header Content-Type text/html\nrespond <<HTML\n" + tracked + "\nHTML 502"
	nowhere := freeAddr(t)
	g := start(t, "consent\nreverse_proxy "+nowhere+"\nhandle_errors {\nconsent\n"+body+"\n}")
	got := g.get("/", "Cookie", "_ga=1")
	if got.StatusCode != 502 || strings.Contains(got.body, live) || !strings.Contains(got.body, "hello") {
		t.Errorf("with consent: got %d %q", got.StatusCode, got.body)
	}
	if !g.counted(outcomeFailed, 1) || !g.counted(outcomeRewritten, 1) {
		t.Errorf("counted %v failed, %v rewritten", g.outcome(outcomeFailed), g.outcome(outcomeRewritten))
	}
	// The visitor's choice is still known there.
	if got := g.get("/", "Cookie", granted(t)); !strings.Contains(got.body, live) {
		t.Errorf("granted: got %q", got.body)
	}
	if w := g.entries("handle_errors without consent"); len(w) != 0 {
		t.Errorf("warned: %v", w)
	}

	g = start(t, "consent\nreverse_proxy "+nowhere+"\nhandle_errors {\n"+body+"\n}")
	if w := g.entries("handle_errors without consent"); len(w) != 1 {
		t.Errorf("without consent in handle_errors: %d warnings", len(w))
	}
}

// HEAD has the headers of GET, but for the length and what only the body tells.
func TestContractA12Head(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string]string{"index.html": tracked, "a.css": "p{}"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, before := range []string{"", "encode\n"} {
		g := start(t, before+"root "+dir+"\nconsent\nfile_server")
		for _, path := range []string{"/", "/a.css"} {
			for _, cookie := range []string{"", granted(t)} {
				get := g.get(path, "Cookie", cookie).Header
				head := g.do(http.MethodHead, path, "Cookie", cookie).Header
				for _, h := range []http.Header{get, head} {
					h.Del("Content-Length")
					h.Del("Date")
				}
				if fmt.Sprint(get) != fmt.Sprint(head) {
					t.Errorf("%s %q:\nGET  %v\nHEAD %v", path, cookie, get, head)
				}
			}
		}
	}
}

// Answers that cannot have a body get none, and their headers are filtered.
func TestContractA13NoBody(t *testing.T) {
	for status, fields := range map[string][]string{
		"204 No Content":   {"Content-Type: text/html"},
		"304 Not Modified": {"Content-Type: text/html", `ETag: "a"`},
		"200 OK":           {"Content-Type: text/html", "Content-Length: 0"},
		"302 Found":        {"Location: /x", "Content-Length: 0"},
	} {
		head := "HTTP/1.1 " + status + "\r\n" + strings.Join(fields, "\r\n") + "\r\nSet-Cookie: _ga=1\r\nSet-Cookie: session=1\r\n\r\n"
		g := start(t, proxy(answering(t, head)))
		got := g.get("/")
		if got.Status != status || got.body != "" || got.err != nil || !slices.Equal(got.Header["Set-Cookie"], []string{"session=1"}) {
			t.Errorf("%s: got %s %v %q %v", status, got.Status, got.Header, got.body, got.err)
		}
		for _, field := range fields {
			name, value, _ := strings.Cut(field, ": ")
			if got.StatusCode != 304 && got.Header.Get(name) != value {
				t.Errorf("%s: %s is %q", status, name, got.Header.Get(name))
			}
		}
	}
}

// A page that changes loses the length it had; one that does not keeps it.
func TestContractA14Length(t *testing.T) {
	g := start(t, proxy(answering(t, page(tracked))))
	if got := g.get("/"); got.ContentLength == int64(len(tracked)) || got.err != nil || !strings.HasSuffix(got.body, "</html>") {
		t.Errorf("restricted: length %d, %v, %q", got.ContentLength, got.err, got.body)
	}
	if got := g.get("/", "Cookie", granted(t)); got.ContentLength != int64(len(tracked)) || got.body != tracked {
		t.Errorf("granted: length %d, %q", got.ContentLength, got.body)
	}
}
