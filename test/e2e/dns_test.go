package e2e

import (
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// A resolver is the only name server the browser asks (RFC 8484), and knows no
// name. What it was asked is all a dns-prefetch hint leaves behind.
type resolver struct {
	mu    sync.Mutex
	asked []string
	heard func(name string) // called for each question, if not nil
}

func (d *resolver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	wire, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	if r.Method == http.MethodGet {
		wire, err = base64.RawURLEncoding.DecodeString(r.URL.Query().Get("dns"))
	}
	var m dnsmessage.Message
	if err != nil || m.Unpack(wire) != nil || len(m.Questions) == 0 {
		http.Error(w, "not a question", http.StatusBadRequest)
		return
	}
	if name := strings.TrimSuffix(strings.ToLower(m.Questions[0].Name.String()), "."); name != ownBusiness {
		d.mu.Lock()
		d.asked = append(d.asked, name)
		d.mu.Unlock()
		if d.heard != nil {
			d.heard(name)
		}
	}
	m.Response, m.RCode, m.Additionals = true, dnsmessage.RCodeNameError, nil
	reply, err := m.Pack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/dns-message")
	w.Write(reply)
}

// take returns the names asked for since the last take, once each.
func (d *resolver) take() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	asked := d.asked
	d.asked = nil
	slices.Sort(asked)
	return slices.Compact(asked)
}

// TestNames looks at the one leak that opens no connection: before consent the
// browser must not even look up a vendor's name.
func TestNames(t *testing.T) {
	findChromium(t)
	site := startUpstream(t, exampleSite())
	g := startGateway(t, map[string]string{siteHost: site.addr})
	names := &resolver{}
	s := startSink(t)
	b := launch(t, s, []string{"MAP " + bareHost + " " + site.addr, "MAP " + siteHost + " " + g.sites[siteHost]}, startTLS(t, names))
	for _, p := range sitePages {
		v := b.visitor(t)
		v.visit("http://" + bareHost + p)
		v.close()
		bare := names.take()
		v = b.visitor(t)
		v.visit("http://" + siteHost + p)
		v.close()
		got := names.take()
		// Named in a dns-prefetch hint and nowhere else.
		if p != "/pricing.html" && !slices.Contains(bare, "www.google-analytics.com") || len(bare) < 5 {
			t.Errorf("%s: without the gateway only %v are looked up: the test is blind", p, bare)
		}
		if len(got) > 0 {
			t.Errorf("%s: looked up %v", p, got)
		}
		t.Logf("%s: %d names without the gateway, %d behind it", p, len(bare), len(got))
	}
}

// startTLS serves h over HTTPS on loopback and returns its address.
func startTLS(t testing.TB, h http.Handler) net.Addr {
	t.Helper()
	server := httptest.NewTLSServer(h)
	server.Config.ErrorLog = discardLog()
	t.Cleanup(server.Close)
	return server.Listener.Addr()
}
