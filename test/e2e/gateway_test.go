package e2e

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/consentgate/consentgate/caddymodule"
)

// secureHost is the one site of a gateway that speaks HTTPS.
const secureHost = "secure.test"

// A gateway is this process's Caddy with the consent handler in front of one or
// more sites. There is one at a time.
type gateway struct {
	sites   map[string]string // host -> loopback address the gateway listens on for it
	metrics string            // URL of the metrics
}

// startGateway puts the gateway in front of upstreams, by host.
func startGateway(t testing.TB, upstreams map[string]string) *gateway {
	t.Helper()
	g := &gateway{sites: make(map[string]string)}
	var config strings.Builder
	fmt.Fprintf(&config, `{
	admin off
	persist_config off
	skip_install_trust
	auto_https disable_redirects
	storage file_system %s
	log {
		level ERROR
	}
	servers {
		protocols h1 h2
	}
}
`, t.TempDir())
	for _, host := range slices.Sorted(maps.Keys(upstreams)) {
		scheme, tls := "http", ""
		if host == secureHost {
			scheme, tls = "https", "tls internal"
		}
		g.sites[host] = freeAddr(t)
		_, port, _ := net.SplitHostPort(g.sites[host])
		fmt.Fprintf(&config, `%s://%s:%s {
	bind 127.0.0.1
	%s
	encode
	consent
	reverse_proxy %s
}
`, scheme, host, port, tls, upstreams[host])
	}
	metrics := freeAddr(t)
	g.metrics = "http://" + metrics + "/metrics"
	fmt.Fprintf(&config, "http://%s {\n\tbind 127.0.0.1\n\tmetrics /metrics\n}\n", metrics)

	loadCaddy(t, config.String())
	return g
}

// loadCaddy runs this process's Caddy with a Caddyfile until the test ends.
func loadCaddy(t testing.TB, config string) {
	t.Helper()
	json, warnings, err := caddyfile.Adapter{ServerType: httpcaddyfile.ServerType{}}.Adapt([]byte(config), nil)
	if err != nil {
		t.Fatalf("adapt: %v\n%s", err, config)
	}
	for _, w := range warnings {
		if !strings.Contains(w.Message, "not formatted") {
			t.Errorf("adapt: %s", w)
		}
	}
	if err := caddy.Load(json, true); err != nil {
		t.Fatalf("load: %v\n%s", err, config)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Errorf("stop the gateway: %v", err)
		}
	})
}

// freeAddr returns a loopback address nobody listens on.
func freeAddr(t testing.TB) string {
	t.Helper()
	for range 100 {
		// Below the range from which systems take the ports of outgoing
		// connections: one of those might take the port before Caddy does.
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(20000)))
		if err != nil {
			continue
		}
		defer func() { _ = ln.Close() }()
		return ln.Addr().String()
	}
	t.Fatal("no free port")
	return ""
}

// client returns an HTTP client that finds every host at the gateway, follows
// no redirect and asks for no compression.
func (g *gateway) client() *http.Client {
	return &http.Client{
		Timeout: 20 * time.Second,
		Transport: &http.Transport{
			DisableCompression: true,
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				host, _, _ := net.SplitHostPort(addr)
				return new(net.Dialer).DialContext(ctx, network, g.sites[host])
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// choose posts the form of the preferences page without a browser and returns
// the consent cookie, as a Cookie header.
func (g *gateway) choose(t testing.TB, base, cookies string, form url.Values) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, base+"/_cg/choice", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", base)
	if cookies != "" {
		req.Header.Set("Cookie", cookies)
	}
	resp, err := g.client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("the choice %v was answered %s", form, resp.Status)
	}
	for _, line := range resp.Header.Values("Set-Cookie") {
		if pair, _, _ := strings.Cut(line, ";"); strings.HasPrefix(pair, "cg=") {
			return pair
		}
	}
	t.Fatalf("the choice %v set no cookie", form)
	return ""
}

// get fetches an address through the gateway.
func (g *gateway) get(t testing.TB, address string, header http.Header) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	resp, err := g.client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("read %s: %v", address, err)
	}
	return resp, body
}

// A stance is what a visitor has said.
type stance struct {
	name     string
	action   string   // of the form; "" if nothing was said
	save     []string // categories ticked, for the action "save"
	withdraw bool     // all of it was taken back again afterwards
	granted  map[string]bool
}

var everything = map[string]bool{"functional": true, "analytics": true, "marketing": true}

var stances = []stance{
	{name: "none"},
	{name: "refused", action: "deny-all"},
	{name: "analytics", action: "save", save: []string{"analytics"}, granted: map[string]bool{"analytics": true}},
	{name: "all", action: "grant-all", granted: everything},
	{name: "withdrawn", action: "grant-all", withdraw: true},
}

// say makes the choice on the real preferences page, with the mouse, and ends
// on the page at returnTo. It returns what happened on both pages.
func (v *visitor) say(base, returnTo, action string, save ...string) (form, landing result) {
	v.t.Helper()
	form = v.visit(base + "/_cg/preferences?return_to=" + url.QueryEscape(returnTo))
	for _, id := range save {
		v.click(`input[name=category][value="` + id + `"]`)
	}
	landing = v.submit(`button[name=action][value="` + action + `"]`)
	if got := v.location(); got != base+returnTo {
		v.t.Fatalf("after the choice %s the visitor is at %s, want %s", action, got, base+returnTo)
	}
	return form, landing
}
