// Package gate runs Caddy with the gateway inside the test's own process, on
// loopback ports, and asks it over HTTP/1.1, 2 and 3. The tests of the folders
// beside it share it; nothing else imports it.
package gate

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard" // every handler the tests put around the gateway

	_ "github.com/consentgate/consentgate/caddymodule" // the gateway itself
)

// Config says what Caddy is to run.
type Config struct {
	// Sites are the Caddyfile lines of each site, by a name of the test's own.
	Sites map[string]string
	// Global are lines for the block of global options.
	Global string
	// Snippets stand before the sites, such as "(name) { … }".
	Snippets string
	// GracePeriod is how long requests may go on after their configuration has
	// been replaced, in Caddy's words. Default "2s".
	GracePeriod string
}

// A Gate is a running Caddy. A process has one at a time.
type Gate struct {
	t       testing.TB
	plain   map[string]string // site -> host:port for HTTP
	secure  map[string]string // site -> host:port for HTTPS, TCP and UDP
	metrics string            // host:port
	dir     string
	log     string
	file    string // the Caddyfile
	ca      *authority
}

// Start runs Caddy until the test ends. Each site is reachable on a port of its
// own without TLS, and on another with it, over HTTP/1.1, 2 and 3.
func Start(t testing.TB, c Config) *Gate {
	t.Helper()
	g := &Gate{
		t: t, dir: t.TempDir(), metrics: FreeAddr(t), ca: testAuthority(),
		plain: make(map[string]string), secure: make(map[string]string),
	}
	g.log = filepath.Join(g.dir, "log")
	for name := range c.Sites {
		g.plain[name], g.secure[name] = FreeAddr(t), FreeAddr(t)
	}
	g.Load(c)
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Errorf("stopping Caddy: %v", err)
		}
	})
	return g
}

// Load gives the running Caddy a configuration with the same sites.
func (g *Gate) Load(c Config) {
	g.t.Helper()
	if err := g.TryLoad(c); err != nil {
		g.t.Fatalf("%v\n%s", err, g.file)
	}
}

// TryLoad is Load for configurations that may be refused.
func (g *Gate) TryLoad(c Config) error {
	g.file = g.caddyfile(c)
	config, _, err := caddyfile.Adapter{ServerType: httpcaddyfile.ServerType{}}.Adapt([]byte(g.file), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return fmt.Errorf("adapt: %w", err)
	}
	if err := caddy.Load(config, true); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	return nil
}

// Reload loads the present configuration again, as "caddy reload --force" does.
func (g *Gate) Reload() error {
	config, _, err := caddyfile.Adapter{ServerType: httpcaddyfile.ServerType{}}.Adapt([]byte(g.file), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return err
	}
	return caddy.Load(config, true)
}

func (g *Gate) caddyfile(c Config) string {
	var b strings.Builder
	fmt.Fprintf(&b, "{\n\tadmin off\n\tpersist_config off\n\tauto_https off\n\tgrace_period %s\n\tstorage file_system %s\n\tlog {\n\t\toutput file %s\n\t\tformat json\n\t\tlevel INFO\n\t}\n%s\n}\n%s\n",
		cmp.Or(c.GracePeriod, "2s"), g.dir, g.log, c.Global, c.Snippets)
	for _, name := range slices.Sorted(maps.Keys(c.Sites)) {
		lines := c.Sites[name]
		fmt.Fprintf(&b, "http://%s {\n\tbind 127.0.0.1\n%s\n}\n", g.plain[name], lines)
		fmt.Fprintf(&b, "https://%s {\n\tbind 127.0.0.1\n\ttls %s %s\n%s\n}\n", g.secure[name], g.ca.certFile, g.ca.keyFile, lines)
	}
	fmt.Fprintf(&b, "http://%s {\n\tbind 127.0.0.1\n\tmetrics /metrics\n}\n", g.metrics)
	return b.String()
}

// Addr returns the host and port of a site: without TLS for [Plain], with it for
// the other protocols.
func (g *Gate) Addr(p Proto, site string) string {
	addr := g.secure[site]
	if p == Plain {
		addr = g.plain[site]
	}
	if addr == "" {
		g.t.Fatalf("no site %q", site)
	}
	return addr
}

// URL returns the address of a path of a site.
func (g *Gate) URL(p Proto, site, path string) string {
	if p == Plain {
		return "http://" + g.Addr(p, site) + path
	}
	return "https://" + g.Addr(p, site) + path
}

// Log returns what Caddy has logged so far.
func (g *Gate) Log() string {
	g.t.Helper()
	data, err := os.ReadFile(g.log)
	if err != nil && !os.IsNotExist(err) {
		g.t.Fatal(err)
	}
	return string(data)
}

// given are the addresses this process has got from [FreeAddr].
var given sync.Map

// FreeAddr returns a loopback address nobody listens on, another one each time.
func FreeAddr(t testing.TB) string {
	t.Helper()
	for range 100 {
		// Below the range from which systems take the ports of outgoing
		// connections: one of those might take the port before Caddy does.
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(20000)))
		if err != nil {
			continue
		}
		defer func() { _ = ln.Close() }()
		// Two sites of one configuration cannot share a port.
		if _, before := given.LoadOrStore(ln.Addr().String(), true); before {
			continue
		}
		return ln.Addr().String()
	}
	t.Fatal("no free port")
	return ""
}
