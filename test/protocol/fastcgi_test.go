package protocol

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/fcgi"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/consentgate/consentgate/test/gate"
)

// A FastCGI responder knows no status line, no chunks and no trailers, and its
// answers have no length unless they say so. These are the answers it gives, by
// the query.
var scripts = map[string]http.HandlerFunc{
	"page": func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Set-Cookie"] = []string{"_ga=1", "session=1"}
		w.Header().Set("Link", "<"+vendor+">; rel=preload; as=script")
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, tracked)
	},
	"sized": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Length", fmt.Sprint(len(tracked)))
		io.WriteString(w, tracked)
	},
	"missing": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusNotFound)
		w.(http.Flusher).Flush()
		io.WriteString(w, tracked)
	},
	"long": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		for range 100 {
			io.WriteString(w, strings.Repeat("<p>padding</p>\n", 50))
			w.(http.Flusher).Flush()
		}
		io.WriteString(w, tracked)
	},
	"none": func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Set-Cookie"] = []string{"_ga=1", "session=1"}
		w.WriteHeader(http.StatusNoContent)
	},
	"moved": func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Set-Cookie"] = []string{"_ga=1", "session=1"}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(http.StatusFound)
	},
	"json": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"html":"`+vendor+`"}`)
	},
	"cookies": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, r.Header.Get("Cookie"))
	},
}

// fastCGI runs the responder and returns its address.
func fastCGI(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go fcgi.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := scripts[r.URL.RawQuery]; f != nil {
			f(w, r)
			return
		}
		http.Error(w, "no script "+r.URL.RawQuery, http.StatusNotImplemented)
	}))
	return ln.Addr().String()
}

// Pages of a FastCGI application, through php_fastcgi, over every protocol and
// with the stacks that change most.
func TestFastCGI(t *testing.T) {
	n := 0
	around := slices.DeleteFunc(slices.Clone(stacks), func(s stack) bool {
		return !slices.Contains([]string{"bare", "log+encode", "templates", "all"}, s.name)
	})
	w := newWorld(t, around, "")
	each(t, w, around, func(e env) {
		for query := range scripts {
			n++
			e.script(query)
		}
	})
	t.Logf("%d combinations", n)
}

func (e env) script(query string) {
	e.Helper()
	url := phpPath + "page.php?" + query
	fields := []string{"Cookie", "session=1; _ga=2; other=3"}
	got := e.get(url, fields...)
	without := e.ask(http.MethodGet, twin(e.s.name), url, fields...)
	if got.StatusCode != without.StatusCode || got.Err != nil || without.Err != nil {
		e.Fatalf("%s: %s %v, without the gateway %s %v", query, got.Status, got.Err, without.Status, without.Err)
	}
	if strings.Contains(got.page, live) {
		e.Errorf("%s: live in %q", query, got.page)
	}
	if cookies := got.Header["Set-Cookie"]; len(without.Header["Set-Cookie"]) > 0 && fmt.Sprint(cookies) != "[session=1]" {
		e.Errorf("%s: cookies %q", query, cookies)
	}
	if got.Header.Get("Link") != "" {
		e.Errorf("%s: Link %q", query, got.Header["Link"])
	}
	switch want := without.page; {
	case query == "cookies":
		if got.page != "session=1; other=3" {
			e.Errorf("%s: the script saw %q", query, got.page)
		}
	case strings.Contains(want, live):
		if !strings.HasSuffix(got.page, "<p>hello</p></body></html>") || !strings.Contains(got.page, "data-cg-src") {
			e.Errorf("%s: …%q is not the page, rewritten", query, got.page[max(0, len(got.page)-400):])
		}
		if all := e.get(url, "Cookie", gate.Granted(e.p)); all.page != want {
			e.Errorf("%s: granted, and not the script's bytes: %q", query, all.page)
		}
	case got.page != want:
		e.Errorf("%s: got %q, without the gateway %q", query, got.page, want)
	}
	if head := e.ask(http.MethodHead, e.s.name, url, fields...); head.StatusCode != got.StatusCode || head.Body != "" {
		e.Errorf("%s: HEAD %s %q", query, head.Status, head.Body)
	}
}

// A script that dies in the middle: the page must not look complete.
func TestFastCGIDies(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				c.SetReadDeadline(time.Now().Add(10 * time.Second))
				// All of the request, up to the empty record of type STDIN: closing
				// before that would reset the connection, or not.
				for {
					var head [8]byte
					if _, err := io.ReadFull(c, head[:]); err != nil {
						return
					}
					size := int64(head[4])<<8 | int64(head[5])
					if _, err := io.CopyN(io.Discard, c, size+int64(head[6])); err != nil {
						return
					}
					if head[1] == 5 && size == 0 {
						break
					}
				}
				body := "Status: 200 OK\r\nContent-Type: text/html\r\n\r\n<!DOCTYPE html><p>visible</p><scr"
				// The beginning of a record of type STDOUT, request 1, and then nothing more.
				c.Write(append([]byte{1, 6, 0, 1, 0, byte(len(body) + 100), 0, 0}, body...))
			}()
		}
	}()
	root := files(t)
	proxy := "root * " + root + "\nphp_fastcgi " + ln.Addr().String()
	g := gate.Start(t, gate.Config{Sites: map[string]string{"gated": "consent\n" + proxy, twin("gated"): proxy}})
	for _, p := range gate.Protos {
		c := g.Client(t, p)
		without, errWithout := gate.TryAsk(c, http.MethodGet, g.URL(p, twin("gated"), phpPath+"page.php"))
		got, err := gate.TryAsk(c, http.MethodGet, g.URL(p, "gated", phpPath+"page.php"))
		if whole := err == nil && got.Err == nil; whole && (errWithout != nil || without.Err != nil) {
			t.Errorf("%s: complete, %q; without the gateway %v %v", p, got.Body, errWithout, without.Err)
		}
		if strings.Contains(got.Body, "<scr") && strings.Contains(got.Body, "src=") {
			t.Errorf("%s: held bytes left: %q", p, got.Body)
		}
	}
}
