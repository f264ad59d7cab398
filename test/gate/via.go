package gate

import (
	"context"
	"net"
	"net/http"
	"testing"
)

// ClientVia is [Gate.Client] for connections that go to another address than the
// URL says, where something passes them on to the gateway. Over TCP only.
func (g *Gate) ClientVia(t testing.TB, p Proto, addr string) *http.Client {
	t.Helper()
	c := g.Client(t, p)
	tr, ok := c.Transport.(*http.Transport)
	if !ok {
		t.Fatalf("%s does not run over TCP", p)
	}
	tr.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	return c
}
