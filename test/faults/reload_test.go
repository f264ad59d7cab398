package faults

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"github.com/consentgate/consentgate/test/gate"
)

const (
	reloads   = 100
	followers = 200
	sockets   = 50
)

// rewritten is how many pages the present configuration rewrote.
const rewritten = `caddy_consent_responses_total{outcome="rewritten"}`

// Reloads cut no answer and no WebSocket: those that began under an old
// configuration go on, held back as before, to their regular end.
func TestReloads(t *testing.T) {
	f := &feed{more: make(chan struct{})}
	site := httptest.NewServer(f)
	// Caddy would keep those connections of an old configuration that become idle
	// later for another two minutes.
	site.Config.SetKeepAlivesEnabled(false)
	t.Cleanup(site.Close)
	t.Cleanup(f.end)
	echo := httptest.NewServer(websocket.Handler(func(ws *websocket.Conn) { _, _ = io.Copy(ws, ws) }))
	t.Cleanup(echo.Close)
	g := gate.Start(t, gate.Config{
		Sites: map[string]string{
			"feed": "consent\n" + proxied(site.Listener.Addr().String()),
			// Without it, Caddy itself closes WebSockets when it reloads.
			"sockets": "consent\nreverse_proxy " + echo.Listener.Addr().String() + " {\nstream_close_delay 1h\n}",
		},
		GracePeriod: "1h", // after it, Caddy itself closes connections of HTTP/3
	})
	reload := func() {
		t.Helper()
		if err := g.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	reload()
	before := steady()

	protos := []gate.Proto{gate.Plain, gate.H2, gate.H3}
	clients := make(map[gate.Proto]*http.Client)
	for _, p := range protos {
		clients[p] = client(t, g, p)
		clients[p].Timeout = 0 // the answers take as long as the test
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	var open []*follower
	for n := range followers {
		p := protos[n%len(protos)]
		one, err := follow(ctx, clients[p], g, p, n%2 == 0)
		if err != nil {
			t.Fatalf("%s: %v", p, err)
		}
		open = append(open, one)
	}
	var talking []*websocket.Conn
	for n := range sockets {
		talking = append(talking, socket(t, g, []gate.Proto{gate.Plain, gate.H1}[n%2]))
	}
	check := func(what string) {
		f.say(what)
		each(8, open, func(one *follower) {
			if err := one.hears(what); err != nil {
				t.Errorf("%s: %s: %v", what, one, err)
			}
		})
		each(8, talking, func(ws *websocket.Conn) {
			if err := echoes(ws, what); err != nil {
				t.Errorf("%s: WebSocket: %v", what, err)
			}
		})
		if t.Failed() {
			t.FailNow()
		}
	}
	check("before")
	for n := range reloads {
		reload()
		if n%10 == 0 {
			check(fmt.Sprintf("reload-%d", n))
		}
	}
	check("after")

	f.end()
	each(8, open, func(one *follower) {
		if err := one.hearsEnd(); err != nil {
			t.Errorf("end: %s: %v", one, err)
		}
		_ = one.body.Close()
	})
	for _, ws := range talking {
		if err := ws.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	}
	counted(t, g, clients)

	for _, c := range clients {
		disconnect(c)
	}
	http.DefaultClient.CloseIdleConnections()
	after := 0
	for deadline := time.Now().Add(40 * time.Second); time.Now().Before(deadline); {
		// The loops of old servers come round every half second.
		if after = steady(); after <= before+5 {
			break
		}
	}
	t.Logf("goroutines: %d before, %d after", before, after)
	if after > before+5 {
		stacks := make([]byte, 1<<20)
		t.Errorf("%s", stacks[:runtime.Stack(stacks, true)])
	}
}

// counted asks for pages under the last configuration, which counts them.
func counted(t *testing.T, g *gate.Gate, clients map[gate.Proto]*http.Client) {
	t.Helper()
	was := g.Metric(t, rewritten)
	const pages = 5
	for p, c := range clients {
		for range pages {
			if got := gate.Ask(t, c, http.MethodGet, g.URL(p, "feed", "/page")); got.Err != nil {
				t.Errorf("%s: %v", p, got.Err)
			}
		}
	}
	gate.Eventually(t, "pages are counted after the reloads", func() bool {
		return g.Metric(t, rewritten) == was+float64(pages*len(clients))
	})
}
