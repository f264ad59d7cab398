package caddymodule

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/encode"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"
)

// warnAround warns, when a configuration is loaded, about handlers of the same
// server that reach past this one. It does so once a server.
//
// Caddy gives handlers their server while it is being set up: the routes before
// this one already hold handlers, the others, this one's included, still hold
// JSON. Both are read. Adapting a Caddyfile alone gives no such warnings, since
// Caddy does not let directives add any there; "caddy validate" does.
func (h *Handler) warnAround(ctx caddy.Context) {
	srv, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || !h.metrics.first(srv) {
		return
	}
	for _, w := range bypasses(srv) {
		h.logger.Warn(w.what, zap.String("fix", w.fix))
	}
}

// A warning names a way around the handler, and what to do about it.
type warning struct{ what, fix string }

// bypasses returns a warning for everything in the server's configuration that
// changes or writes responses outside a consent handler in front of it.
func bypasses(srv *caddyhttp.Server) []warning {
	wk := newWalker(srv)
	wk.walk(srv.Routes, chain{})
	if wk.found != nil && srv.Errors != nil {
		wk.checkErrors()
		wk.walk(srv.Errors.Routes, chain{})
	}
	return wk.warnings
}

// A chain is what a walk through nested routes has passed so far, from the
// outside in.
type chain struct {
	headers []string // operations on fields we answer for
	asks    bool     // a proxy that may answer itself, as forward_auth does
	consent bool     // a consent handler
}

type walker struct {
	srv      *caddyhttp.Server
	seen     map[string]bool // named routes on the way, which may call each other
	found    *Handler        // a consent handler, nil if there is none
	covered  [][]string      // hosts of the top-level routes with one
	warned   map[string]bool
	warnings []warning
}

func newWalker(srv *caddyhttp.Server) *walker {
	return &walker{srv: srv, seen: make(map[string]bool), warned: make(map[string]bool)}
}

func (wk *walker) warn(what, fix string) {
	if !wk.warned[what] {
		wk.warned[what] = true
		wk.warnings = append(wk.warnings, warning{what, fix})
	}
}

// walk goes through routes. What it passes in a route also stands around the
// routes after it, unless that one ends the chain or excludes its siblings.
func (wk *walker) walk(routes caddyhttp.RouteList, c chain) {
	for i := range routes {
		after := wk.route(&routes[i], c)
		if routes[i].Group == "" && !routes[i].Terminal {
			c = after
		}
	}
}

func (wk *walker) route(rt *caddyhttp.Route, c chain) chain {
	for _, handler := range handlersOf(rt) {
		c = wk.handler(handler, c)
	}
	return c
}

func (wk *walker) handler(handler any, c chain) chain {
	switch handler := handler.(type) {
	case *Handler:
		wk.found = handler
		for _, op := range c.headers {
			wk.warn(op+" outside consent: it is applied after consent has set or filtered this field",
				"move it inside, with \"order header after consent\" or by writing consent before it in a route block")
		}
		if c.asks {
			wk.warn("forward_auth runs outside consent: what the authentication server answers reaches visitors unfiltered",
				"if it shows them pages, move it inside with \"order forward_auth after consent\"")
		}
		c.consent = true
	case *headers.Handler:
		c.headers = append(slices.Clip(c.headers), deferredOps(handler.Response)...)
	case *encode.Encode:
		if c.consent {
			wk.warn("encode runs inside consent: pages are compressed before consent reads them, and sent uncompressed",
				"remove the order option that puts consent before encode")
		}
	case *reverseproxy.Handler:
		// Without handlers for its answers nothing behind a proxy is reached.
		c.asks = c.asks || len(handler.HandleResponse) > 0
	case *caddyhttp.Subroute:
		wk.walk(handler.Routes, c)
	case *caddyhttp.Invoke:
		if named := wk.srv.NamedRoutes[handler.Name]; named != nil && !wk.seen[handler.Name] {
			wk.seen[handler.Name] = true
			c = wk.route(named, c)
			delete(wk.seen, handler.Name)
		}
	}
	return c
}

// checkErrors warns about error routes that write pages past us. Caddy runs them
// on the writer outside every handler of the failed request.
func (wk *walker) checkErrors() {
	for i := range wk.srv.Routes {
		if rt := &wk.srv.Routes[i]; wk.contains(rt) {
			wk.covered = append(wk.covered, hostsOf(rt))
		}
	}
	for i := range wk.srv.Errors.Routes {
		rt := &wk.srv.Errors.Routes[i]
		if wk.contains(rt) {
			continue
		}
		hosts := hostsOf(rt)
		if slices.ContainsFunc(wk.covered, func(covered []string) bool { return overlap(hosts, covered) }) {
			what := "handle_errors without consent: error pages reach visitors unfiltered"
			if len(hosts) > 0 {
				what += ", for " + strings.Join(hosts, ", ")
			}
			wk.warn(what, "write the consent directive into handle_errors as well")
		}
	}
}

// contains reports whether a consent handler stands anywhere in the route.
func (wk *walker) contains(rt *caddyhttp.Route) bool {
	inner := newWalker(wk.srv)
	inner.route(rt, chain{})
	return inner.found != nil
}

// overlap reports whether a host can belong to both; no hosts means all.
func overlap(a, b []string) bool {
	if len(a) == 0 || len(b) == 0 {
		return true
	}
	return slices.ContainsFunc(a, func(host string) bool { return slices.Contains(b, host) })
}

// handlersOf returns the handlers of a route that matter here, whether Caddy has
// set them up yet or not.
func handlersOf(rt *caddyhttp.Route) []any {
	var list []any
	for _, handler := range rt.Handlers {
		list = append(list, handler)
	}
	for _, raw := range rt.HandlersRaw {
		var name struct {
			Handler string `json:"handler"`
		}
		if json.Unmarshal(raw, &name) != nil {
			continue // Caddy itself will say what is wrong with it
		}
		handler := newHandler(name.Handler)
		if handler != nil && json.Unmarshal(raw, handler) == nil {
			list = append(list, handler)
		}
	}
	return list
}

func newHandler(name string) any {
	switch name {
	case "consent":
		return new(Handler)
	case "headers":
		return new(headers.Handler)
	case "encode":
		return new(encode.Encode)
	case "reverse_proxy":
		return new(reverseproxy.Handler)
	case "subroute":
		return new(caddyhttp.Subroute)
	case "invoke":
		return new(caddyhttp.Invoke)
	}
	return nil
}

// answered are the response fields consent sets or filters.
var answered = []string{
	"Cache-Control", "Content-Security-Policy", "Content-Type", "Etag", "Link", "Set-Cookie", "Vary",
}

// deferredOps describes the operations on these fields that Caddy applies when
// the headers leave, which is after us. Operations applied at once stand in the
// header map before us, and are filtered like the site's own headers.
func deferredOps(ops *headers.RespHeaderOps) []string {
	if ops == nil || ops.HeaderOps == nil || !ops.Deferred && ops.Require == nil {
		return nil
	}
	var list []string
	add := func(verb string, field string) {
		for _, name := range answered {
			if touches(field, name) {
				list = append(list, fmt.Sprintf("header operation \"%s %s\"", verb, field))
				return
			}
		}
	}
	for _, field := range slices.Sorted(maps.Keys(ops.Add)) {
		add("add", field)
	}
	for _, field := range slices.Sorted(maps.Keys(ops.Set)) {
		add("set", field)
	}
	for _, field := range ops.Delete {
		add("delete", field)
	}
	for _, field := range slices.Sorted(maps.Keys(ops.Replace)) {
		add("replace", field)
	}
	return list
}

// touches reports whether the field of an operation, which may begin or end with
// "*", names the header field.
func touches(field, name string) bool {
	if !strings.Contains(field, "*") {
		return http.CanonicalHeaderKey(field) == name
	}
	ok, err := path.Match(strings.ToLower(field), strings.ToLower(name))
	return ok && err == nil
}
