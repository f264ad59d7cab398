package faults

import (
	"fmt"
	"strings"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// A toxic is something that happens to the bytes on their way downstream.
type toxic struct {
	name       string
	kind       string // of toxiproxy; "" for none
	attributes string // JSON
	cuts       bool   // the answer does not arrive whole
	level      bool   // for level answers of the smallest size
}

// gentle do not cut, so that every page must arrive whole.
var gentle = []toxic{
	{name: "none"},
	{name: "latency", kind: "latency", attributes: `{"latency": 20, "jitter": 5}`},
	{name: "bandwidth", kind: "bandwidth", attributes: `{"rate": 2000}`},
	{name: "slicer", kind: "slicer", attributes: `{"average_size": 500, "size_variation": 300, "delay": 10}`},
	{name: "slow_close", kind: "slow_close", attributes: `{"delay": 40}`},
}

// cutting ones end the connection early.
func cutting(limits ...toxic) []toxic {
	return append([]toxic{
		{name: "timeout", kind: "timeout", attributes: `{"timeout": 40}`, cuts: true},
		{name: "reset_peer", kind: "reset_peer", attributes: `{"timeout": 10}`, cuts: true},
	}, limits...)
}

func limit(name string, bytes int, level bool) toxic {
	return toxic{name: "limit_" + name, kind: "limit_data", attributes: fmt.Sprintf(`{"bytes": %d}`, bytes), cuts: true, level: level}
}

var (
	// upstreamToxics stand between gateway and site.
	upstreamToxics = append(cutting(
		limit("header", 100, false),
		// Whether the body is chunked or not (then it begins six bytes later), a
		// page that is not compressed is cut inside of its first script's tag.
		limit("tag", bodyAt+strings.Index(head, "www.google")+8, false),
		// In the inline script of the first section, long after the headers left.
		limit("inline", bodyAt+len(head)+1500, false),
		limit("middle", bodyAt+3456, false),
		limit("last_byte", levelLength-1, true),
	), gentle...)

	// clientToxics stand between client and gateway. What is cut there depends on
	// TLS and HTTP/2.
	clientToxics = append(cutting(
		limit("100", 100, false),
		limit("1500", 1500, false),
		limit("2500", 2500, false),
		limit("4500", 4500, false),
	), gentle...)
)

// A proxies makes toxic proxies.
type proxies struct {
	t      testing.TB
	server *toxiproxy.ApiServer // not listening: only what proxies need of it
}

func newProxies(t testing.TB) *proxies {
	// The bandwidth toxic writes to the library's global logger.
	zerolog.SetGlobalLevel(zerolog.Disabled)
	registry := toxiproxy.NewMetricsContainer(prometheus.NewRegistry())
	return &proxies{t, toxiproxy.NewServer(registry, zerolog.Nop())}
}

// start returns the address of a proxy in front of an address.
func (p *proxies) start(x toxic, upstream string) string {
	p.t.Helper()
	proxy := toxiproxy.NewProxy(p.server, x.name, "127.0.0.1:0", upstream)
	if x.kind != "" {
		definition := fmt.Sprintf(`{"type": %q, "stream": "downstream", "attributes": %s}`, x.kind, x.attributes)
		if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(definition)); err != nil {
			p.t.Fatalf("toxic %s: %v", x.name, err)
		}
	}
	if err := proxy.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(proxy.Stop)
	return proxy.Listen
}
