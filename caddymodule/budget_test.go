package caddymodule

import (
	"io"
	"net"
	"net/http"
	"testing"
)

// E7: while max_memory is in use, new pages meet the failure policy; pages that
// have begun go on, and everything is given back.
func TestBudget(t *testing.T) {
	release := make(chan bool)
	slow := raw(t, func(c net.Conn, r *http.Request) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\n\r\n"+tracked)
		if r.URL.Path == "/slow" {
			<-release
		}
	})
	for mode, want := range map[string]struct {
		status  int
		outcome outcome
		remedy  remedy
	}{
		policyStrict:  {503, outcomeBlocked, remedyRefused},
		policyGuarded: {200, outcomeBypassed, remedyGuarded},
		policyObserve: {200, outcomeUnguarded, remedyUnguarded},
	} {
		t.Run(mode, func(t *testing.T) {
			eventually(t, "nothing in hand", func() bool { return inHand.Load() == 0 })
			g := start(t, proxy(slow, "max_memory 1MiB", "failure_policy "+mode))
			const room = (1 << 20) / pageMemory
			var open []*http.Response
			for range room {
				resp, err := plainClient.Get("http://" + g.addr + "/slow")
				if err != nil {
					t.Fatal(err)
				}
				open = append(open, resp)
			}
			if n := g.value("caddy_consent_memory_bytes"); n < room*pageMemory {
				t.Errorf("%v bytes in hand", n)
			}
			got := g.get("/")
			if got.StatusCode != want.status || !g.counted(want.outcome, 1) || g.bypassed("memory", want.remedy) != 1 {
				t.Errorf("%d %v", got.StatusCode, got.Header)
			}
			if got.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("may be cached: %v", got.Header)
			}
			if csp := got.Header.Get("Content-Security-Policy"); (csp == shieldCSP) != (mode == policyGuarded) {
				t.Errorf("policy %q", csp)
			}
			if (got.Header.Get("Retry-After") == retryAfter) != (mode == policyStrict) {
				t.Errorf("%v", got.Header)
			}
			// With everything granted there is nothing to hold.
			if got := g.get("/", "Cookie", granted(t)); got.StatusCode != 200 || got.body != tracked {
				t.Errorf("granted: %d", got.StatusCode)
			}
			for range open {
				release <- true
			}
			for _, resp := range open {
				if _, err := io.Copy(io.Discard, resp.Body); err != nil {
					t.Errorf("a page that had begun: %v", err)
				}
				resp.Body.Close()
			}
			if !g.counted(outcomeRewritten, room) {
				t.Error("not all that had begun were rewritten")
			}
			if got := g.get("/"); got.StatusCode != 200 || !g.counted(outcomeRewritten, room+1) {
				t.Errorf("afterwards: %d", got.StatusCode)
			}
			eventually(t, "all given back", func() bool { return inHand.Load() == 0 })
		})
	}
}
