package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	caddymetrics "github.com/caddyserver/caddy/v2/modules/metrics"
	"go.uber.org/zap"
)

// announce has the addresses of the sites behind consent handlers, of their
// preferences pages and of the metrics logged once Caddy serves them.
func (h *Handler) announce(ctx caddy.Context) error {
	if !h.metrics.first("announce") {
		return nil
	}
	app, err := ctx.App("events")
	if err != nil {
		return fmt.Errorf("getting the events app: %w", err)
	}
	events, ok := app.(*caddyevents.App)
	if !ok {
		return fmt.Errorf("events app is a %T", app)
	}
	return events.On("started", announcer{ctx, h.logger})
}

// announcer handles Caddy's event that a configuration has started.
type announcer struct {
	ctx    caddy.Context
	logger *zap.Logger
}

// Handle implements caddyevents.Handler.
func (a announcer) Handle(context.Context, caddy.Event) error {
	app, err := a.ctx.AppIfConfigured("http")
	if err != nil {
		return fmt.Errorf("getting the http app: %w", err)
	}
	servers := app.(*caddyhttp.App).Servers
	var exported []string
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		exported = append(exported, metricsURLs(servers[name])...)
	}
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		for _, s := range sitesOf(servers[name]) {
			fields := []zap.Field{zap.String("site", s.url), zap.String("preferences", s.url+s.prefix+"preferences")}
			if len(exported) > 0 {
				fields = append(fields, zap.Strings("metrics", exported))
			}
			a.logger.Info("consent gateway ready", fields...)
		}
	}
	return nil
}

// A site is what a browser opens to see a consent handler at work.
type site struct {
	url    string // without a path
	prefix string // of the handler
}

func sitesOf(srv *caddyhttp.Server) []site {
	var sites []site
	for i := range srv.Routes {
		rt := &srv.Routes[i]
		wk := newWalker(srv)
		wk.route(rt, chain{})
		if wk.found == nil {
			continue
		}
		hosts := hostsOf(rt)
		if len(hosts) == 0 {
			hosts = []string{""}
		}
		for _, host := range hosts {
			if s := (site{baseURL(srv, host), wk.found.Prefix}); s.url != "" && !slices.Contains(sites, s) {
				sites = append(sites, s)
			}
		}
	}
	return sites
}

// metricsURLs returns where a server exports Caddy's metrics.
func metricsURLs(srv *caddyhttp.Server) []string {
	var urls []string
	for i := range srv.Routes {
		rt := &srv.Routes[i]
		host := ""
		if hosts := hostsOf(rt); len(hosts) > 0 {
			host = hosts[0]
		}
		eachRoute(rt, func(inner *caddyhttp.Route) {
			for _, handler := range inner.Handlers {
				if _, ok := handler.(*caddymetrics.Metrics); ok {
					urls = append(urls, baseURL(srv, host)+firstPath(inner))
				}
			}
		})
	}
	return urls
}

// eachRoute calls f for a route and the routes nested in it.
func eachRoute(rt *caddyhttp.Route, f func(*caddyhttp.Route)) {
	f(rt)
	for _, handler := range rt.Handlers {
		if sub, ok := handler.(*caddyhttp.Subroute); ok {
			for i := range sub.Routes {
				eachRoute(&sub.Routes[i], f)
			}
		}
	}
}

// firstPath returns a path the route answers to.
func firstPath(rt *caddyhttp.Route) string {
	for _, set := range rt.MatcherSets {
		for _, m := range set {
			if match, ok := m.(*caddyhttp.MatchPath); ok && len(*match) > 0 {
				return strings.TrimSuffix((*match)[0], "*")
			}
		}
	}
	return "/"
}

// baseURL returns the URL of a server under one of its hosts, or under the
// address it listens on. It is empty for hosts with wildcards or placeholders,
// and for servers that listen on no TCP port.
func baseURL(srv *caddyhttp.Server, host string) string {
	if len(srv.Listen) == 0 || strings.ContainsAny(host, "*{") {
		return ""
	}
	addr, err := caddy.ParseNetworkAddress(srv.Listen[0])
	if err != nil || addr.IsUnixNetwork() {
		return ""
	}
	if host == "" {
		host = addr.Host
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	scheme, standard := "http", uint(80)
	if len(srv.TLSConnPolicies) > 0 {
		scheme, standard = "https", 443
	}
	if addr.StartPort == standard {
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		return scheme + "://" + host
	}
	return scheme + "://" + net.JoinHostPort(host, strconv.FormatUint(uint64(addr.StartPort), 10))
}

// hostsOf returns the hosts a top-level route is limited to.
func hostsOf(rt *caddyhttp.Route) []string {
	var hosts []string
	for _, set := range rt.MatcherSets {
		for _, m := range set {
			if match, ok := m.(*caddyhttp.MatchHost); ok {
				hosts = append(hosts, *match...)
			}
		}
	}
	for _, set := range rt.MatcherSetsRaw {
		var match caddyhttp.MatchHost
		if raw, ok := set["host"]; ok && json.Unmarshal(raw, &match) == nil {
			hosts = append(hosts, match...)
		}
	}
	return hosts
}

// Interface guards
var _ caddyevents.Handler = announcer{}
