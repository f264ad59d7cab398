package e2e

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A hit is one request that reached the outside world.
type hit struct {
	Host   string // lower-case, without port
	Path   string // path and query, as sent
	Method string
	Dest   string // what it was for, in the words of Sec-Fetch-Dest; guessed where the browser sends none
	Cookie string // Cookie header, as sent
}

func (h hit) String() string { return h.Host + h.Path }

// Traffic is what the outside world saw during one visit.
type traffic struct {
	Hits   []hit
	Names  []string // server names of TLS handshakes: a preconnect shows here and nowhere else
	Silent int      // connections on which not one byte came: a preconnect over plain HTTP
}

// hosts returns every host that was asked for anything, or only connected to.
func (tr traffic) hosts() []string {
	var out []string
	for _, h := range tr.Hits {
		out = append(out, h.Host)
	}
	out = append(out, tr.Names...)
	slices.Sort(out)
	return slices.Compact(out)
}

// A sink is the whole outside world on one loopback port: any host name, TLS
// and plain, told apart by the first byte of the connection. It speaks
// HTTP/1.1 only, so that the browser opens a connection, with its own server
// name, for every host; HTTP/2 would share one connection among all of them.
type sink struct {
	addr string

	mu     sync.Mutex
	seen   traffic
	open   map[net.Conn]bool
	silent map[net.Conn]bool // accepted since the last take, no byte yet
	last   time.Time         // of the last accepted connection or request
	heard  func(host string) // called for each request and each handshake, if not nil
}

func startSink(t testing.TB) *sink {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{addr: ln.Addr().String(), open: make(map[net.Conn]bool), silent: make(map[net.Conn]bool), last: time.Now()}
	config := &tls.Config{
		Certificates: []tls.Certificate{selfSigned(t)},
		NextProtos:   []string{"http/1.1"},
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if name := strings.ToLower(hello.ServerName); name != ownBusiness {
				s.note(func(tr *traffic) { tr.Names = append(tr.Names, name) })
				s.tell(name)
			}
			return nil, nil
		},
	}
	sorted := &sortedListener{Listener: ln, conns: make(chan net.Conn), done: make(chan struct{})}
	server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute, ErrorLog: discardLog()}
	go s.sort(ln, config, sorted)
	go func() {
		if err := server.Serve(sorted); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("sink stopped: %v", err)
		}
	}()
	t.Cleanup(func() {
		server.Close()
		s.hangUp()
	})
	return s
}

// sort accepts connections and hands them to the HTTP server, those that begin
// with a TLS handshake record wrapped in TLS.
func (s *sink) sort(ln net.Listener, config *tls.Config, to *sortedListener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		s.note(func(*traffic) { s.open[conn], s.silent[conn] = true, true })
		go func() {
			peeked := &peekedConn{Conn: conn, r: bufio.NewReader(conn)}
			first, err := peeked.r.Peek(1)
			if err != nil {
				conn.Close()
				return
			}
			s.note(func(*traffic) { delete(s.silent, conn) })
			const handshake = 0x16 // RFC 8446, section 5.1
			var ready net.Conn = peeked
			if first[0] == handshake {
				ready = tls.Server(peeked, config)
			}
			select {
			case to.conns <- ready:
			case <-to.done:
				conn.Close()
			}
		}()
	}
}

func (s *sink) note(f func(*traffic)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = time.Now()
	f(&s.seen)
}

// listen has f called with the host of each request and each handshake to come.
func (s *sink) listen(f func(host string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = f
}

func (s *sink) tell(host string) {
	s.mu.Lock()
	f := s.heard
	s.mu.Unlock()
	if f != nil {
		f(host)
	}
}

// take returns what was seen since the last take.
func (s *sink) take() traffic {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.seen
	seen.Silent = len(s.silent)
	s.seen = traffic{}
	clear(s.silent)
	return seen
}

// peek returns the requests since the last take, and leaves them.
func (s *sink) peek() []hit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen.Hits)
}

// settle waits until nothing has reached the sink for a moment.
func (s *sink) settle() {
	for end := time.Now().Add(2 * time.Second); s.idleFor() < 100*time.Millisecond && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
}

// hangUp closes every connection.
func (s *sink) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.open {
		conn.Close()
	}
	clear(s.open)
}

func (s *sink) idleFor() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Since(s.last)
}

// sortedListener is the server's view of the sink's listener.
type sortedListener struct {
	net.Listener
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *sortedListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *sortedListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

type peekedConn struct {
	net.Conn
	r *bufio.Reader
}

func (c *peekedConn) Read(p []byte) (int, error) { return c.r.Read(p) }

// selfSigned returns a certificate nobody vouches for; the browser is told not
// to mind.
func selfSigned(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "sink.test"},
		DNSNames:     []string{"sink.test"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
