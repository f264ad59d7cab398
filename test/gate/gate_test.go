package gate_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/consentgate/consentgate/test/gate"
)

// Every protocol reaches the gateway, and is the one it says.
func TestProtocols(t *testing.T) {
	g := gate.Start(t, gate.Config{Sites: map[string]string{
		"gated": "consent\nheader Content-Type text/html\nrespond `<script src=https://www.googletagmanager.com/gtag/js></script>`",
		"bare":  "respond bare",
	}})
	for _, p := range gate.Protos {
		c := g.Client(t, p)
		major := map[gate.Proto]int{gate.H2: 2, gate.H3: 3}[p]
		got := gate.Ask(t, c, http.MethodGet, g.URL(p, "gated", "/"))
		if got.ProtoMajor != max(major, 1) || !strings.Contains(got.Body, "data-cg-src") {
			t.Errorf("%s: HTTP/%d, %q", p, got.ProtoMajor, got.Body)
		}
		if got := gate.Ask(t, c, http.MethodGet, g.URL(p, "bare", "/")); got.Body != "bare" {
			t.Errorf("%s: %q", p, got.Body)
		}
		got = gate.Ask(t, c, http.MethodGet, g.URL(p, "gated", "/"), "Cookie", gate.Granted(p))
		if strings.Contains(got.Body, "data-cg-src") {
			t.Errorf("%s: held though granted: %q", p, got.Body)
		}
	}
	if n := g.Metric(t, `caddy_consent_responses_total{outcome="granted"}`); n != float64(len(gate.Protos)) {
		t.Errorf("%v granted", n)
	}
}

// No address is given twice, so that two sites never share one.
func TestFreeAddr(t *testing.T) {
	seen := make(map[string]bool)
	for range 500 {
		addr := gate.FreeAddr(t)
		if seen[addr] {
			t.Fatalf("%s twice", addr)
		}
		seen[addr] = true
	}
}
