package caddymodule

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// A flush that cuts the first bytes where nothing can be told from them yet must
// not settle what the page is.
func TestContractEarlyDecision(t *testing.T) {
	script := `<script src="https://www.googletagmanager.com/gtag/js"></script>`
	for name, tc := range map[string]struct {
		contentType string
		pieces      []string
		want        string // Content-Type
	}{
		"mark cut":        {"text/html; charset=iso-8859-1", []string{"\xef", "\xbb", "\xbf" + script}, "text/html; charset=utf-8"},
		"no mark":         {"text/html", []string{"<p>", script}, "text/html; charset=utf-8"},
		"sniffed blanks":  {"unknown/unknown", []string{" ", "\n", script}, "text/html; charset=utf-8"},
		"sniffed cut":     {"unknown/unknown", []string{"<", "!DOC", "TYPE html>" + script}, "text/html; charset=utf-8"},
		"head alone":      {"text/html", []string{"<!doctype html><html><head>", "<meta charset=utf-8><title>é</title>" + script}, "text/html; charset=utf-8"},
		"late iso-2022":   {"text/html", []string{"<head>", "<meta charset=iso-2022-jp>" + script}, "text/html; charset=utf-8"},
		"latin":           {"text/html", []string{"<title>caf\xe9</title>", script}, "text/html; charset=windows-1252"},
		"sniffed no page": {"unknown/unknown", []string{"{", script}, "unknown/unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			addr := raw(t, func(c net.Conn, _ *http.Request) {
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: "+tc.contentType+"\r\nConnection: close\r\n\r\n")
				for _, p := range tc.pieces {
					io.WriteString(c, p)
					time.Sleep(20 * time.Millisecond)
				}
			})
			got := start(t, proxy(addr)).get("/")
			if !strings.EqualFold(got.Header.Get("Content-Type"), tc.want) {
				t.Errorf("Content-Type %q, want %q", got.Header.Get("Content-Type"), tc.want)
			}
			if rewritten := !strings.Contains(got.body, ` src=`); rewritten != strings.HasPrefix(tc.want, "text/html") {
				t.Errorf("rewritten is %v: %q", rewritten, got.body)
			}
		})
	}
}

// A5: handlers may set fields before an informational answer; they belong to the
// final one.
func TestContractA5HeadersSurvive(t *testing.T) {
	g := start(t, "route {\nconsent\nconsent_test_hints\n}")
	br := bufio.NewReader(strings.NewReader(g.rawAsk("GET / HTTP/1.1\nHost: " + g.addr + "\nConnection: close\n\n")))
	early, err := http.ReadResponse(br, nil)
	if err != nil || early.StatusCode != 103 || len(early.Header["Set-Cookie"]) != 0 || len(early.Header["Link"]) != 0 {
		t.Fatalf("early: %+v, %v", early, err)
	}
	final, err := http.ReadResponse(br, nil)
	if err != nil || final.StatusCode != 200 || !slices.Equal(final.Header["Set-Cookie"], []string{"session=1"}) || final.Header.Get("X-Mine") != "yes" {
		t.Errorf("final: %+v, %v", final, err)
	}
}

// A16: trailers set no cookies however they are spelled.
func TestDropCookies(t *testing.T) {
	for _, header := range []bool{true, false} {
		h := http.Header{
			"Set-Cookie": {"a=1"}, "set-cookie": {"a=1"}, "SET-COOKIE": {"a=1"}, "Set-Cookie2": {"a=1"},
			http.TrailerPrefix + "Set-Cookie": {"a=1"}, http.TrailerPrefix + "sEt-cookie": {"a=1"}, http.TrailerPrefix + "X": {"1"},
		}
		dropCookies(h, header)
		want := map[bool]int{true: 2, false: 5}[header]
		if len(h) != want || h["Set-Cookie2"] == nil || h[http.TrailerPrefix+"X"] == nil {
			t.Errorf("header %v: left %v", header, h)
		}
	}
}

// After our own answer an endless site is told to stop; a short one is not.
func TestContractDropped(t *testing.T) {
	stopped := make(chan bool, 1)
	addr := raw(t, func(c net.Conn, _ *http.Request) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: foo\r\nConnection: close\r\n\r\n")
		for {
			if _, err := io.WriteString(c, strings.Repeat("x", 32<<10)); err != nil {
				stopped <- true
				return
			}
		}
	})
	g := start(t, proxy(addr, "failure_policy strict"))
	// The visitor stays, so that nothing but us stops the site.
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", g.addr)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != 502 {
		t.Fatalf("%v, %v", resp, err)
	}
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != refusal {
		t.Errorf("%q, %v", body, err)
	}
	select {
	case <-stopped:
	case <-time.After(5 * time.Second):
		t.Error("the site still sends")
	}
}

// The visitor gets all of our answer however much the site sends, and keeps the
// connection.
func TestContractDroppedWhole(t *testing.T) {
	addr := raw(t, func(c net.Conn, _ *http.Request) {
		const size = 4 << 20
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: foo\r\nContent-Length: %d\r\n\r\n", size)
		io.WriteString(c, strings.Repeat("x", size))
	})
	g := start(t, proxy(addr, "failure_policy strict"))
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	br := bufio.NewReader(c)
	for i := range 3 {
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", g.addr)
		resp, err := http.ReadResponse(br, nil)
		if err != nil || resp.StatusCode != 502 {
			t.Fatalf("request %d: %v, %v", i, resp, err)
		}
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != refusal {
			t.Fatalf("request %d: %q, %v", i, body, err)
		}
	}
	eventually(t, "counted as blocked", func() bool { return g.outcome(outcomeBlocked) == 3 })
}

// Our answer does not wait for a site that sends on slowly, and is final when the
// handlers behind fail.
func TestContractDroppedEarly(t *testing.T) {
	release := make(chan bool)
	addr := raw(t, func(c net.Conn, _ *http.Request) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: foo\r\nContent-Length: 9000\r\n\r\nx")
		<-release
	})
	g := start(t, proxy(addr, "failure_policy strict"))
	got := g.get("/")
	close(release)
	if got.StatusCode != 502 || got.body != refusal || got.err != nil {
		t.Errorf("%d %q, %v", got.StatusCode, got.body, got.err)
	}
	g = start(t, "handle_errors {\nrespond more\n}\nroute {\nconsent {\nfailure_policy strict\n}\nheader Content-Encoding foo\nconsent_test_fail\n}")
	if got := g.get("/"); got.StatusCode != 502 || got.body != refusal || got.err != nil {
		t.Errorf("%d %q, %v", got.StatusCode, got.body, got.err)
	}
}

// E2: decoders are given back however a page ends.
func TestContractE2DecodersReturned(t *testing.T) {
	for _, coding := range []string{"gzip", "br", "zstd"} {
		body := encoded(t, coding, []byte(strings.Repeat(tracked, 1000)))
		addr := answering(t, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: "+coding+
			"\r\nContent-Length: 9000000\r\n\r\n"+string(body[:len(body)/2]))
		g := start(t, proxy(addr, "failure_policy strict"))
		run := func(n int) {
			for range n {
				if resp, err := plainClient.Get("http://" + g.addr + "/"); err == nil {
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			}
		}
		run(10)
		before := runtime.NumGoroutine()
		run(200)
		eventually(t, fmt.Sprintf("%s: goroutines back to %d", coding, before), func() bool { return runtime.NumGoroutine() < before+20 })
	}
}
