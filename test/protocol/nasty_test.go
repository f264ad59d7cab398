package protocol

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/consentgate/consentgate/test/gate"
)

// nasty are answers no server should give, by what is wrong with them. With
// some, bare Caddy refuses, some it passes on, mended or not.
var nasty = map[string]answerer{
	"longer than its length":  saying(head("200 OK", "Content-Type: text/html", "Content-Length: 60") + tracked),
	"shorter than its length": saying(head("200 OK", "Content-Type: text/html", "Content-Length: 9999") + tracked),
	"two lengths":             saying(head("200 OK", "Content-Type: text/html", fmt.Sprint("Content-Length: ", len(tracked)), "Content-Length: 5") + tracked),
	"two lengths in one":      saying(head("200 OK", "Content-Type: text/html", fmt.Sprintf("Content-Length: %d, 5", len(tracked))) + tracked),
	"same length twice":       saying(head("200 OK", "Content-Type: text/html", fmt.Sprint("Content-Length: ", len(tracked)), fmt.Sprint("Content-Length: ", len(tracked))) + tracked),
	"negative length":         saying(head("200 OK", "Content-Type: text/html", "Content-Length: -1") + tracked),
	"length and chunks":       saying(head("200 OK", "Content-Type: text/html", "Content-Length: 5", "Transfer-Encoding: chunked") + chunk(tracked) + "0\r\n\r\n"),
	"chunks twice":            saying(head("200 OK", "Content-Type: text/html", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + chunk(tracked) + "0\r\n\r\n"),
	"unknown transfer coding": saying(head("200 OK", "Content-Type: text/html", "Transfer-Encoding: gzip, chunked") + chunk(tracked) + "0\r\n\r\n"),
	"bad chunk size":          saying(head("200 OK", "Content-Type: text/html", "Transfer-Encoding: chunked") + chunk(tracked) + "zz\r\nabc\r\n0\r\n\r\n"),
	"huge chunk size":         saying(head("200 OK", "Content-Type: text/html", "Transfer-Encoding: chunked") + chunk(tracked) + "fffffffffffffffff\r\nabc"),
	"chunk longer than said":  saying(head("200 OK", "Content-Type: text/html", "Transfer-Encoding: chunked") + "5\r\n" + tracked + "\r\n0\r\n\r\n"),
	"chunks without an end":   saying(head("200 OK", "Content-Type: text/html", "Transfer-Encoding: chunked") + chunk(tracked)),
	"chunk extensions":        saying(head("200 OK", "Content-Type: text/html", "Transfer-Encoding: chunked") + fmt.Sprintf("%x;a=%s\r\n%s\r\n0\r\n\r\n", len(tracked), strings.Repeat("x", 1000), tracked)),
	"chunks of one byte":      saying(head("200 OK", "Content-Type: text/html", "Transfer-Encoding: chunked") + bytewise(tracked) + "0\r\n\r\n"),
	"nothing but end chunks":  saying(head("200 OK", "Content-Type: text/html", "Transfer-Encoding: chunked") + strings.Repeat("0\r\n\r\n", 100)),
	"header of 1 MB":          saying(head("200 OK", "Content-Type: text/html", "X-Long: "+strings.Repeat("x", 1<<20)) + tracked),
	"10 000 fields":           saying(head("200 OK", "Content-Type: text/html", strings.TrimSuffix(strings.Repeat("X-Many: 1\r\n", 10000), "\r\n")) + tracked),
	"2000 cookies":            saying(page(tracked, strings.TrimSuffix(strings.Repeat("Set-Cookie: _ga=1\r\n", 2000), "\r\n"))),
	"NUL in a value":          saying(page(tracked, "X-Nul: a\x00b")),
	"NUL in a name":           saying(page(tracked, "X-N\x00l: a")),
	"NUL in the type":         saying(response("200 OK", tracked, "Content-Type: text/\x00html")),
	"control in a Link":       saying(page(tracked, "Link: <"+vendor+"\x01>; rel=preload")),
	"folded field":            saying(page(tracked, "Link: </own.css>; rel=preload,\r\n <"+vendor+">; rel=preload")),
	"folded type":             saying(response("200 OK", tracked, "Content-Type: text/plain,\r\n\ttext/html")),
	"field without a colon":   saying(page(tracked, "nonsense")),
	"space before the colon":  saying(page(tracked, "Set-Cookie : _ga=1")),
	"CR alone in a value":     saying(page(tracked, "X-Split: a\rSet-Cookie: _ga=1")),
	"splitting by LF":         saying(page(tracked, "X-Split: a\nSet-Cookie: _ga=1\nLink: <"+vendor+">; rel=preload")),
	"encoded splitting":       saying(page(tracked, "Location: /%0d%0aSet-Cookie:%20_ga=1")),
	"two answers":             saying(page(tracked) + page(tracked)),
	"no reason phrase":        saying("HTTP/1.1 200\r\nContent-Type: text/html\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(tracked)) + tracked),
	"line ends without CR":    saying(strings.ReplaceAll(head("200 OK", "Content-Type: text/html", "Connection: close"), "\r\n", "\n") + tracked),
	"no status line":          saying(tracked),
	"status 99":               saying(response("099 What", tracked, "Content-Type: text/html")),
	"status 600":              saying(response("600 What", tracked, "Content-Type: text/html")),
	"status 1000":             saying(response("1000 What", tracked, "Content-Type: text/html")),
	"HTTP/0.9":                saying("HTTP/0.9 200 OK\r\nContent-Type: text/html\r\n\r\n" + tracked),
	"HTTP/1.0":                saying("HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n" + tracked),
	"50 hints":                saying(strings.Repeat(head("103 Early Hints", "Link: <"+vendor+">; rel=preload"), 50) + page(tracked)),
	"hints and no end":        saying(head("103 Early Hints", "Link: <"+vendor+">; rel=preload")),
	"upgrade unasked":         saying(head("101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade") + tracked),
	"204 with a body":         saying(response("204 No Content", tracked, "Content-Type: text/html")),
	"304 with a body":         saying(response("304 Not Modified", tracked, "Content-Type: text/html")),
	"nothing":                 func(net.Conn, *http.Request) {},
	"half a status line":      saying("HTTP/1.1 2"),
	"half a header":           saying("HTTP/1.1 200 OK\r\nContent-Type: text/ht"),
	"reset before the answer": func(c net.Conn, _ *http.Request) { reset(c) },
	"reset in the header":     func(c net.Conn, _ *http.Request) { io.WriteString(c, "HTTP/1.1 200 OK\r\nCont"); reset(c) },
	"reset in the page": func(c net.Conn, _ *http.Request) {
		io.WriteString(c, head("200 OK", "Content-Type: text/html", "Transfer-Encoding: chunked")+"fff\r\n"+tracked+"<scr")
		reset(c)
	},
	"reset after the page": func(c net.Conn, _ *http.Request) { io.WriteString(c, page(tracked)); reset(c) },
	"close in a tag":       saying(head("200 OK", "Content-Type: text/html", "Content-Length: 500") + `<p>visible</p><script src="` + vendor),
}

func bytewise(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteString(chunk(s[i : i+1]))
	}
	return b.String()
}

// reset ends a connection as a crash does.
func reset(c net.Conn) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// A fate is how an answer came to an end for the visitor.
type fate string

const (
	whole   fate = "whole"
	cut     fate = "cut"     // broken off, visibly
	refused fate = "refused" // 502
	none    fate = "none"    // no answer
)

func (e env) fate(site, path string) (answer, fate) {
	got, err := e.tryAsk(http.MethodGet, site, path)
	switch {
	case err != nil:
		return got, none
	case got.Err != nil && got.StatusCode != http.StatusNotModified: // whose length is that of another answer
		return got, cut
	case got.StatusCode == http.StatusBadGateway:
		return got, refused
	}
	return got, whole
}

// Whatever a site sends: what is not whole for a visitor of bare Caddy is not
// with the gateway either, what is whole still is, and nothing held gets out.
func TestNasty(t *testing.T) {
	around := []stack{stacks[0], stacks[3]}
	w := newNastyWorld(t, around)
	fates := map[fate]int{}
	each(t, w, around, func(e env) {
		for name, answer := range nasty {
			path := w.site.on("", answer)
			without, bare := e.fate(twin(e.s.name), path)
			got, ours := e.fate(e.s.name, path)
			fates[ours]++
			if ours != bare && !(bare != whole && ours != whole) {
				e.Errorf("%s: %s, without the gateway %s (%v)", name, ours, bare, without.Response)
			}
			if ours == whole && got.StatusCode != without.StatusCode {
				e.Errorf("%s: %s, without the gateway %s", name, got.Status, without.Status)
			}
			e.nothingHeld(name, got)
			if ours == whole && strings.Contains(without.page, live) && got.Header.Get("Content-Type") != "text/plain" {
				if !strings.Contains(got.page, "data-cg-src") {
					e.Errorf("%s: whole, and not the page: %q", name, got.page)
				}
			}
			// The visitor's connection is still good for another request.
			if again, err := e.tryAsk(http.MethodGet, e.s.name, w.site.says(page(tracked))); err != nil || strings.Contains(again.page, live) {
				e.Errorf("%s: the next request: %v %q", name, err, again.page)
			}
		}
	})
	t.Logf("%d answers, %v", len(nasty), fates)
	// Go's client takes 099 for a status, its server panics over it, with the
	// gateway and without.
	noPanic(t, w, "invalid WriteHeader code 99")
}

// nothingHeld checks that neither body nor header, early or late, has what
// waits for consent.
func (e env) nothingHeld(name string, got answer) {
	e.Helper()
	if strings.Contains(got.page, live) && !shielded(got) {
		e.Errorf("%s: live in %q", name, got.page)
	}
	headers := []http.Header{}
	if got.Response != nil {
		headers = append(headers, got.Header, got.Trailer)
	}
	for _, early := range got.early {
		headers = append(headers, early.header)
	}
	for _, h := range headers {
		if strings.Contains(fmt.Sprint(h["Link"]), vendor) || strings.Contains(fmt.Sprint(h["Set-Cookie"]), "_ga=1") {
			e.Errorf("%s: header %v", name, h)
		}
	}
}

// newNastyWorld is newWorld without error pages, which would hide what came.
func newNastyWorld(t *testing.T, list []stack) *world {
	t.Helper()
	w := &world{site: newSite(t)}
	config := gate.Config{Sites: map[string]string{}}
	for _, s := range list {
		proxy := noBody + s.after + "reverse_proxy " + w.site.addr + " {\n" + noKeepalive + "}\n"
		config.Sites[s.name] = s.before + "consent {\n" + onUnreadable + "\n}\n" + proxy
		config.Sites[twin(s.name)] = s.before + proxy
	}
	w.Gate = gate.Start(t, config)
	return w
}

// leaves asks for a page that goes on with the same piece for ever, or in an open
// tag, and hangs up when it has begun.
func (e env) leaves(piece string, inTag bool) {
	ended := make(chan bool, 1)
	path := e.w.site.on("", func(c net.Conn, _ *http.Request) {
		io.WriteString(c, head("200 OK", "Content-Type: text/html", "Connection: close")+"<!DOCTYPE html><title>é</title><p>visible</p>")
		if inTag {
			io.WriteString(c, "<p ")
		}
		c.SetWriteDeadline(time.Now().Add(20 * time.Second))
		for err := error(nil); err == nil; {
			_, err = io.WriteString(c, piece)
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
				ended <- false
				return
			}
		}
		ended <- true
	})
	req, _ := e.request(http.MethodGet, e.s.name, path)
	resp, err := e.c.Do(req)
	switch {
	case err == nil:
		begin := make([]byte, 60)
		n, _ := io.ReadFull(resp.Body, begin)
		resp.Body.Close()
		if !strings.Contains(string(begin[:n]), "visible") && !inTag {
			e.Errorf("begins with %q", begin[:n])
		}
	case !inTag: // a tag longer than max_hold breaks the page off, perhaps before it has left
		e.Error(err)
	}
	if !<-ended {
		e.Error("the site still sends")
	}
}

// A page without an end, in each way a page can have none. The visitor leaves,
// and the site is told.
func TestNastyEndless(t *testing.T) {
	w := newNastyWorld(t, stacks[:1])
	for name, piece := range map[string]string{
		"markup":          tracked,
		"one tag":         strings.Repeat("a", 4096),
		"one attribute":   ` src="` + strings.Repeat("a", 4096),
		"one comment":     "<!-" + strings.Repeat("-", 4096),
		"one script":      "<script>" + strings.Repeat("/*", 2048),
		"end tags":        strings.Repeat("</p>", 1000),
		"NUL":             strings.Repeat("\x00", 4096),
		"blanks":          strings.Repeat(" ", 4096),
		"start of markup": strings.Repeat("<", 4096),
	} {
		t.Run(name, func(t *testing.T) {
			each(t, w, stacks[:1], func(e env) { e.leaves(piece, name == "one tag") })
		})
	}
	noPanic(t, w)
}
