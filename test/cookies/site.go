package cookies

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
)

// A Site is an HTTP/1.1 server that keeps every byte: of the answers, which no
// library may tidy up, and of the Cookie lines it gets.
type Site struct {
	Addr string

	mu     sync.Mutex
	answer func(target string) string
	seen   map[string][]string // request target -> Cookie lines of its last request
}

// StartSite serves until the test ends, with TLS unless config is nil. answer
// returns the whole response for a request target; it must have Content-Length,
// or no body by its status.
func StartSite(t testing.TB, config *tls.Config, answer func(target string) string) *Site {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Site{Addr: ln.Addr().String(), answer: answer, seen: make(map[string][]string)}
	if config != nil {
		ln = tls.NewListener(ln, config)
	}
	var open sync.WaitGroup
	conns := make(map[net.Conn]bool)
	open.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			conns[c] = true
			s.mu.Unlock()
			open.Go(func() {
				s.serve(c)
				_ = c.Close()
				s.mu.Lock()
				delete(conns, c)
				s.mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		s.mu.Lock()
		for c := range conns {
			_ = c.Close()
		}
		s.mu.Unlock()
		open.Wait()
	})
	return s
}

// serve answers the requests of one connection. None of them has a body.
func (s *Site) serve(c net.Conn) {
	r := bufio.NewReaderSize(c, 1<<20)
	for {
		target, cookies, err := readHead(r)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.seen[target] = cookies
		s.mu.Unlock()
		if _, err := c.Write([]byte(s.answer(target))); err != nil {
			return
		}
	}
}

// readHead reads a request up to its empty line.
func readHead(r *bufio.Reader) (target string, cookies []string, err error) {
	first := true
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return "", nil, err
		}
		line = bytes.TrimSuffix(line, []byte("\r\n"))
		switch {
		case first:
			words := strings.Split(string(line), " ")
			if len(words) != 3 {
				return "", nil, fmt.Errorf("request line %q", line)
			}
			target, first = words[1], false
		case len(line) == 0:
			return target, cookies, nil
		case len(line) >= 7 && strings.EqualFold(string(line[:7]), "cookie:"):
			cookies = append(cookies, strings.TrimPrefix(string(line[7:]), " "))
		}
	}
}

// Took returns the Cookie lines of the last request for a target, and whether
// there was one, and forgets them.
func (s *Site) Took(target string) (cookies []string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cookies, ok = s.seen[target]
	delete(s.seen, target)
	return cookies, ok
}

// Response writes a response with the case's Set-Cookie fields.
func (a *Answer) Response() string {
	var b strings.Builder
	b.WriteString("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nCache-Control: no-store\r\nContent-Length: 2\r\n")
	if a.Date != "" {
		b.WriteString("Date: " + a.Date + "\r\n")
	}
	for _, f := range a.Fields {
		b.WriteString("Set-Cookie: " + f.Line + "\r\n")
	}
	b.WriteString("\r\nok")
	return b.String()
}
