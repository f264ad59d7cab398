package faults

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// listen serves TCP connections until the test ends, each in a goroutine of its
// own, and waits for these.
func listen(t testing.TB, serve func(net.Conn)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		running.Wait()
	})
	return ln.Addr().String()
}

// proxied are the lines of a site behind Caddy, which is asked for all paths below
// sitePath. So that Caddy drops the bodies of requests: those over HTTP/3 have one
// of unknown length, and Caddy 2.11.9 with Go's client is not free of data races
// when the (empty) end of one comes late.
func proxied(addr string, options ...string) string {
	return "reverse_proxy " + addr + " {\nmethod GET\nrewrite " + sitePath + "{uri}\n" + strings.Join(options, "\n") + "\n}"
}

const sitePath = "/site"

// pages is a site that sends the answers of the table, one on each connection.
func pages(t testing.TB, table []sent) (addr string) {
	byPath := make(map[string][]byte)
	for _, s := range table {
		byPath[s.path()] = wire(s)
	}
	return listen(t, func(c net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		_, _ = c.Write(byPath[strings.TrimPrefix(r.URL.Path, sitePath)])
	})
}
