package gate

import (
	"crypto/tls"
	"net"
	"time"
)

// Dial connects to a site for bytes that no client of net/http would send: TLS
// for all protocols but [Plain], with HTTP/2 negotiated for [H2]. It cannot do
// [H3]. The connection ends by itself after 30 seconds and with the test.
func (g *Gate) Dial(p Proto, site string) net.Conn {
	g.t.Helper()
	var c net.Conn
	var err error
	if p == Plain {
		c, err = net.Dial("tcp", g.Addr(p, site))
	} else {
		next := "http/1.1"
		if p == H2 {
			next = "h2"
		}
		c, err = tls.Dial("tcp", g.Addr(p, site), g.TLS(next))
	}
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		g.t.Fatal(err)
	}
	return c
}

// TLS returns the settings of a client that trusts the gate's certificate.
func (g *Gate) TLS(protos ...string) *tls.Config {
	return &tls.Config{RootCAs: g.ca.pool, NextProtos: protos}
}
